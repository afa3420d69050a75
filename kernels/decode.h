/* decode.h - stored weights to act: out[i, j] = round(value of m[row0 + i, j]), out [nrows, m.cols] contiguous.
 * Formulas: docs/model/formats.md section 3 (GGUF blocks), docs/model/quant.md sections 2 to 4 (NF4, FP4, nested
 * scales); all are float32 arithmetic, product and sum rounded apart. A value is rounded to m.round_to first and then
 * to act: bitsandbytes dequantizes to the dtype the weight had, and a GGUF may stand for its bf16 rounding. */
#ifndef GT_DECODE_H
#define GT_DECODE_H

#include "exec.h"
#include "matrix.h"

typedef gt_status gt_decode_fn(gt_exec *x, void *out, const gt_matrix *m, int row0, int nrows);

/* How a decoded weight W [out, in] lies. The orders but the first are the backend's own: as many elements as row-major,
 * and good for nothing but its products. */
typedef enum {
    GT_ORDER_ROWS,    /* row-major */
    GT_ORDER_FORWARD, /* for y = x W^T: the right operand of products with tb */
    GT_ORDER_BACKWARD /* for dx = dy W: of products without */
} gt_weight_order;

/* All of m to act in an order for products: out m.rows * m.cols elements, 64-byte aligned. A backend that has no order
 * of its own for a shape writes row-major whatever is asked; its gemm knows. */
typedef gt_status gt_decode_weight_fn(gt_exec *x, void *out, const gt_matrix *m, gt_weight_order order);

/* Elements [first, first + count) of the flattened matrix in double, rounded to m.round_to but not to act: what every
 * decoder answers to. In a GGUF block format first and count are multiples of the block. m has passed
 * gt_decode_check. */
void gt_decode_exact(double *out, const gt_matrix *m, size_t first, size_t count);

/* GT_ERR_ARG unless m is a matrix the decoders take and [row0, row0 + nrows) are rows of it: a format of weights, cols
 * a multiple of the block, for 4-bit codes a code book, scales and a power-of-two block. */
gt_status gt_decode_check(const gt_matrix *m, int row0, int nrows);

#endif
