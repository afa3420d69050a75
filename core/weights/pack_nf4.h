/* pack_nf4.h - one stored matrix to NF4 in memory, over the threads of a pool. The quantizer itself is kernels/nf4.h.
 */
#ifndef GT_PACK_NF4_H
#define GT_PACK_NF4_H

#include "matrix.h"
#include "pool.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>

/* What a matrix's values are rounded to before they are quantized, which is also what dequantized values are rounded to
 * (quant_state.dtype): f32 and f16 as stored, and bf16 for all else, GGUF blocks included. */
gt_dtype gt_pack_source_dtype(const gt_matrix *src);

/* Elements [first, first + count) of the flattened matrix as f32, after that rounding. In a block format first is a
 * multiple of the block, and so is count. Not for NF4 and FP4. */
void gt_pack_read(float *out, const gt_matrix *src, size_t first, size_t count);

/* Bytes of memory that gt_pack_nf4 needs for a matrix of n elements. */
size_t gt_pack_bytes(size_t n, bool double_quant);

/* Quantizes src (an element or GGUF format) into memory (gt_pack_bytes, 64-byte aligned, the caller's) and sets *out to
 * the view of it. code2: the scales' code book (gt_nf4_code2), which *out keeps pointing to; unused without
 * double_quant. Does not depend on the pool (NULL: one thread). GT_ERR_DATA: a value is not finite; names row and
 * column. */
gt_status gt_pack_nf4(gt_matrix *out, void *memory, const gt_matrix *src, bool double_quant, const float *code2,
                      gt_pool *pool);

#endif
