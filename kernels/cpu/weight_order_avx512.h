/* weight_order_avx512.h - strips of a decoded bf16 weight to their places in the order that oneDNN's products read
 * fastest: blocks of 64 columns by 32 rows of the right operand, whose rows lie in pairs, [32/2][64][2]. */
#ifndef GT_WEIGHT_ORDER_AVX512_H
#define GT_WEIGHT_ORDER_AVX512_H

#include <stddef.h>
#include <stdint.h>

enum { GT_BLOCK_COLS = 64, GT_BLOCK_ROWS = 32, GT_BLOCK = GT_BLOCK_COLS * GT_BLOCK_ROWS, GT_STRIP = 16 };

/* A strip of GT_STRIP rows of W, in [GT_STRIP][cols], cols a multiple of 64, into its places. The operand is W^T: its
 * columns are W's rows. out: the place of in[0][0]. */
void gt_pack_forward_avx512(uint16_t *out, const uint16_t *in, int cols);

/* The operand is W. stride: elements between blocks of 64 columns, 64 times W's rows. */
void gt_pack_backward_avx512(uint16_t *out, const uint16_t *in, int cols, size_t stride);

#endif
