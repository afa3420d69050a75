/* xent_tiles.h - what happens to a tile of logits between the two products of the head, and the product of one row with
 * a tile; one set of functions an instruction set. */
#ifndef GT_XENT_TILES_H
#define GT_XENT_TILES_H

#include "dtype.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    /* z [vocab, cols] f32: a column is one row of the batch; cols is a multiple of 16. Where a logit is greater than
     * best[c] it becomes best[c], and id[c] its number first + v: the lowest id wins a tie. */
    void (*tile_max)(const float *z, int vocab, int cols, int32_t first, float *best, int32_t *id);
    /* p = exp(z - most[c]); sum[c] += the tile's sum of p. p [vocab, cols]: float32 when wide, else bf16; rounded to
     * bf16 either way when round. */
    void (*tile_exp)(const float *z, int vocab, int cols, const float *most, double *sum, void *p, bool wide,
                     bool round);
    /* out[v] = sum_c x[c] e[v, c], e [vocab, hidden] and x [hidden] of dtype t (GT_BF16 or GT_F32). */
    void (*row_dot)(float *out, const void *x, const void *e, gt_dtype t, int vocab, int hidden);
} gt_xent_tiles;

extern const gt_xent_tiles gt_xent_tiles_plain, gt_xent_tiles_avx512;

#endif
