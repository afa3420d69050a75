/* decode.h - stored weights to act: out[i, j] = round(value of m[row0 + i, j]), out [nrows, m.cols] contiguous.
 * Formulas: docs/model/formats.md section 3 (GGUF blocks), docs/model/quant.md sections 2 to 4 (NF4, FP4, nested
 * scales); all are float32 arithmetic, product and sum rounded apart. A value is rounded to m.round_to first and then
 * to act: bitsandbytes dequantizes to the dtype the weight had, and a GGUF may stand for its bf16 rounding. */
#ifndef GT_DECODE_H
#define GT_DECODE_H

#include "exec.h"
#include "matrix.h"

typedef gt_status gt_decode_fn(gt_exec *x, void *out, const gt_matrix *m, int row0, int nrows);
gt_decode_fn gt_decode_ref_f32, gt_decode_ref_bf16, gt_decode_ref_f64;
gt_decode_fn gt_decode_cpu_f32, gt_decode_cpu_bf16;

/* Elements [first, first + count) of the flattened matrix in double, rounded to m.round_to but not to act: the
 * arbiter. In a GGUF block format first and count are multiples of the block. m has passed gt_decode_check. */
void gt_decode_ref_span(double *out, const gt_matrix *m, size_t first, size_t count);

/* The same to act on the calling thread, by the instruction-set path in use: what tiled products and the head call for
 * their tiles. Any first and count for element formats and 4-bit codes; whole blocks for GGUF formats. */
void gt_decode_cpu_span_f32(float *out, const gt_matrix *m, size_t first, size_t count);
void gt_decode_cpu_span_bf16(uint16_t *out, const gt_matrix *m, size_t first, size_t count);

/* GT_ERR_ARG unless m is a matrix the decoders take and [row0, row0 + nrows) are rows of it: a decodable dtype, cols a
 * multiple of the block, for 4-bit codes a code book, scales and a power-of-two block. */
gt_status gt_decode_check(const gt_matrix *m, int row0, int nrows);

#endif
