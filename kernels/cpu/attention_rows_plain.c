/* The definition of attention's rows (attention_rows.h) without vectors, which AVX2 machines run too. Sums go from left
 * to right; exp is the C library's. */
#include "attention_rows.h"

#include "checked.h"
#include "dtype.h"

#include <math.h>

static float load(const gt_score_block *b, const void *p, size_t i)
{
    return b->wide ? ((const float *)p)[i] : gt_bf16_to_f32(((const uint16_t *)p)[i]);
}

static float rounded(const gt_score_block *b, float v)
{
    return b->round ? gt_bf16_to_f32(gt_f32_to_bf16(v)) : v;
}

static void save(const gt_score_block *b, void *p, size_t i, float v)
{
    if (b->wide)
        ((float *)p)[i] = rounded(b, v);
    else
        ((uint16_t *)p)[i] = gt_f32_to_bf16(v);
}

static void scale_max(const gt_score_block *b, float *most)
{
    for (int r = 0; r < b->rows; r++) {
        int lo, hi;
        gt_score_columns(b, r, &lo, &hi);
        for (int j = lo; j < hi; j++) {
            const size_t at = (size_t)r * (size_t)b->len + (size_t)j;
            const float v = rounded(b, rounded(b, load(b, b->s, at)) * b->scale);
            save(b, b->s, at, v);
            if (v > most[r]) most[r] = v;
        }
    }
}

static void exp_sum(const gt_score_block *b, const float *most, float *sum)
{
    for (int r = 0; r < b->rows; r++) {
        int lo, hi;
        gt_score_columns(b, r, &lo, &hi);
        float total = 0.0f;
        for (int j = lo; j < hi; j++) total += expf(load(b, b->s, (size_t)r * (size_t)b->len + (size_t)j) - most[r]);
        sum[r] += total;
    }
}

static void probability(const gt_score_block *b, const float *most, const float *factor)
{
    for (int r = 0; r < b->rows; r++) {
        int lo, hi;
        gt_score_columns(b, r, &lo, &hi);
        for (int j = 0; j < b->len; j++) {
            const size_t at = (size_t)r * (size_t)b->len + (size_t)j;
            save(b, b->s, at, j >= lo && j < hi ? expf(load(b, b->s, at) - most[r]) * factor[r] : 0.0f);
        }
    }
}

static void gradient(const gt_score_block *b, void *ds, const float *dp, const float *lse, const float *delta)
{
    for (int r = 0; r < b->rows; r++) {
        int lo, hi;
        gt_score_columns(b, r, &lo, &hi);
        for (int j = 0; j < b->len; j++) {
            const size_t at = (size_t)r * (size_t)b->len + (size_t)j;
            float p = 0.0f, d = 0.0f;
            if (j >= lo && j < hi) {
                p = expf(rounded(b, rounded(b, load(b, b->s, at)) * b->scale) - lse[r]);
                d = b->scale * (p * (dp[at] - delta[r]));
            }
            save(b, b->s, at, p);
            save(b, ds, at, d);
        }
    }
}

static float dot(const void *a, const void *b, bool wide, int n)
{
    float sum = 0.0f;
    for (int i = 0; i < n; i++)
        sum += wide ? ((const float *)a)[i] * ((const float *)b)[i]
                    : gt_bf16_to_f32(((const uint16_t *)a)[i]) * gt_bf16_to_f32(((const uint16_t *)b)[i]);
    return sum;
}

const gt_attention_rows gt_attention_rows_plain = {scale_max, exp_sum, probability, gradient, dot};
