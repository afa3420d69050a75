/* The head's tiles without vectors, which AVX2 machines run too. */
#include "xent_tiles.h"

#include <math.h>
#include <stddef.h>

static void tile_max(const float *z, int vocab, int cols, int32_t first, float *best, int32_t *id)
{
    for (int v = 0; v < vocab; v++, z += cols)
        for (int c = 0; c < cols; c++)
            if (z[c] > best[c]) {
                best[c] = z[c];
                id[c] = first + v;
            }
}

static void tile_exp(const float *z, int vocab, int cols, const float *most, double *sum, void *p, bool wide,
                     bool round)
{
    for (int v = 0; v < vocab; v++)
        for (int c = 0; c < cols; c++) {
            const size_t at = (size_t)v * (size_t)cols + (size_t)c;
            const float e = expf(z[at] - most[c]);
            sum[c] += (double)e;
            const uint16_t h = gt_f32_to_bf16(e);
            if (!wide)
                ((uint16_t *)p)[at] = h;
            else
                ((float *)p)[at] = round ? gt_bf16_to_f32(h) : e;
        }
}

static float value(const void *p, gt_dtype t, size_t i)
{
    return t == GT_BF16 ? gt_bf16_to_f32(((const uint16_t *)p)[i]) : ((const float *)p)[i];
}

static void row_dot(float *out, const void *x, const void *e, gt_dtype t, int vocab, int hidden)
{
    enum { LANES = 16 }; /* sums in a fixed order that a compiler may keep in vector registers */
    for (int v = 0; v < vocab; v++) {
        float lane[LANES] = {0};
        const size_t row = (size_t)v * (size_t)hidden;
        int c = 0;
        for (; c + LANES <= hidden; c += LANES)
            for (int l = 0; l < LANES; l++)
                lane[l] += value(x, t, (size_t)(c + l)) * value(e, t, row + (size_t)(c + l));
        for (int l = 0; c + l < hidden; l++)
            lane[l] += value(x, t, (size_t)(c + l)) * value(e, t, row + (size_t)(c + l));
        float sum = 0.0f;
        for (int l = 0; l < LANES; l++) sum += lane[l];
        out[v] = sum;
    }
}

const gt_xent_tiles gt_xent_tiles_plain = {tile_max, tile_exp, row_dot};
