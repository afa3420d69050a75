/* weight_order.h - decoded weights in the order that products read fastest.
 *
 * oneDNN multiplies from blocks of 64 columns by 32 rows of its right operand, whose rows lie in pairs, [32/2][64][2];
 * given anything else it copies the operand into that order on every call. Written so once a layer, by the decoder
 * itself, a product costs no copies, and tiles may be as low as the caches like them. */
#ifndef GT_WEIGHT_ORDER_H
#define GT_WEIGHT_ORDER_H

#include "table.h"

#include <stdbool.h>

/* Whether the cpu table keeps a weight [rows, cols] in an order of its own; false: row-major whatever is asked. The
 * same on every machine that runs the same path. */
bool gt_weight_is_packed(gt_dtype act, int rows, int cols, gt_weight_order order);

typedef gt_status gt_decode_weight_fn(gt_exec *x, void *out, const gt_matrix *m, gt_weight_order order);
gt_decode_weight_fn gt_decode_weight_ref_f32, gt_decode_weight_ref_bf16, gt_decode_weight_ref_f64;
gt_decode_weight_fn gt_decode_weight_cpu_f32, gt_decode_weight_cpu_bf16;

/* Bytes a worker needs for gt_decode_weight_cpu_*. */
size_t gt_decode_weight_cpu_scratch(void);

enum { GT_BLOCK_COLS = 64, GT_BLOCK_ROWS = 32, GT_BLOCK = GT_BLOCK_COLS * GT_BLOCK_ROWS, GT_STRIP = 16 };

/* A strip of GT_STRIP rows of W, in [GT_STRIP][cols], cols a multiple of 64, into its places. The operand is W^T: its
 * columns are W's rows. out: the place of in[0][0]. */
void gt_pack_forward_avx512(uint16_t *out, const uint16_t *in, int cols);

/* The operand is W. stride: elements between blocks of 64 columns, 64 times W's rows. */
void gt_pack_backward_avx512(uint16_t *out, const uint16_t *in, int cols, size_t stride);

#endif
