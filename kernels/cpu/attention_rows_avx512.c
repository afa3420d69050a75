/* Attention's rows sixteen columns at a time, columns that a row does not see masked. Sums are kept in 16 lanes and exp
 * is our own (exp_avx512.h), so the last bits differ from attention_rows_plain.c's: part of the path. */
#include "attention_rows.h"

#include "checked.h"
#include "exp_avx512.h"

#include <math.h>
#include <stddef.h>

/* Columns j ... j+15 of row r that the row sees. */
static inline __mmask16 seen(int lo, int hi, int j)
{
    const int from = gt_max_int(lo - j, 0), to = gt_min_int(hi - j, 16);
    if (from >= to) return 0;
    return (__mmask16)((0xffffu >> (16 - to)) & (0xffffu << from));
}

static inline __m512 load(const void *p, size_t i, bool wide)
{
    return wide ? _mm512_loadu_ps((const float *)p + i)
                : gt_widen_ps(_mm256_loadu_si256((const __m256i *)((const uint16_t *)p + i)));
}

static inline void save(void *p, size_t i, __m512 v, bool wide, bool round)
{
    if (wide)
        _mm512_storeu_ps((float *)p + i, round ? gt_round_ps(v) : v);
    else
        _mm256_storeu_si256((__m256i *)((uint16_t *)p + i), gt_narrow_ps(v));
}

static inline __m512 rounded(__m512 v, bool round)
{
    return round ? gt_round_ps(v) : v;
}

static inline __m512 scaled(const void *s, size_t at, bool wide, bool round, __m512 scale)
{
    __m512 v = load(s, at, wide);
    if (wide) v = rounded(v, round);
    return rounded(_mm512_mul_ps(v, scale), round);
}

static inline void scale_max_as(const gt_score_block *b, float *most, bool wide, bool round)
{
    const __m512 scale = _mm512_set1_ps(b->scale), least = _mm512_set1_ps(-INFINITY);
    for (int r = 0; r < b->rows; r++) {
        int lo, hi;
        gt_score_columns(b, r, &lo, &hi);
        __m512 top = least;
        for (int j = lo & ~15; j < hi; j += 16) {
            const size_t at = (size_t)r * (size_t)b->len + (size_t)j;
            const __m512 v = scaled(b->s, at, wide, round, scale);
            save(b->s, at, v, wide, round);
            top = _mm512_mask_max_ps(top, seen(lo, hi, j), top, v);
        }
        const float m = _mm512_reduce_max_ps(top);
        if (m > most[r]) most[r] = m;
    }
}

static inline void exp_sum_as(const gt_score_block *b, const float *most, float *sum, bool wide)
{
    for (int r = 0; r < b->rows; r++) {
        int lo, hi;
        gt_score_columns(b, r, &lo, &hi);
        const __m512 m = _mm512_set1_ps(most[r]);
        __m512 total = _mm512_setzero_ps();
        for (int j = lo & ~15; j < hi; j += 16) {
            const __m512 v = load(b->s, (size_t)r * (size_t)b->len + (size_t)j, wide);
            total = _mm512_mask_add_ps(total, seen(lo, hi, j), total, gt_exp_ps(_mm512_sub_ps(v, m)));
        }
        sum[r] += _mm512_reduce_add_ps(total);
    }
}

static inline void probability_as(const gt_score_block *b, const float *most, const float *factor, bool wide,
                                  bool round)
{
    for (int r = 0; r < b->rows; r++) {
        int lo, hi;
        gt_score_columns(b, r, &lo, &hi);
        const __m512 m = _mm512_set1_ps(most[r]), f = _mm512_set1_ps(factor[r]);
        for (int j = 0; j < b->len; j += 16) {
            const size_t at = (size_t)r * (size_t)b->len + (size_t)j;
            const __mmask16 on = seen(lo, hi, j);
            __m512 v = _mm512_setzero_ps();
            if (on) v = _mm512_maskz_mul_ps(on, gt_exp_ps(_mm512_sub_ps(load(b->s, at, wide), m)), f);
            save(b->s, at, v, wide, round);
        }
    }
}

static inline void gradient_as(const gt_score_block *b, void *ds, const float *dp, const float *lse, const float *delta,
                               bool wide, bool round)
{
    const __m512 scale = _mm512_set1_ps(b->scale);
    for (int r = 0; r < b->rows; r++) {
        int lo, hi;
        gt_score_columns(b, r, &lo, &hi);
        const __m512 l = _mm512_set1_ps(lse[r]), d = _mm512_set1_ps(delta[r]);
        for (int j = 0; j < b->len; j += 16) {
            const size_t at = (size_t)r * (size_t)b->len + (size_t)j;
            const __mmask16 on = seen(lo, hi, j);
            __m512 p = _mm512_setzero_ps(), g = p;
            if (on) {
                p = _mm512_maskz_mov_ps(on, gt_exp_ps(_mm512_sub_ps(scaled(b->s, at, wide, round, scale), l)));
                g = _mm512_mul_ps(scale, _mm512_mul_ps(p, _mm512_sub_ps(_mm512_loadu_ps(dp + at), d)));
                g = _mm512_maskz_mov_ps(on, g); /* what lies under the mask may be infinite */
            }
            save(b->s, at, p, wide, round);
            save(ds, at, g, wide, round);
        }
    }
}

/* The three storage forms, each with its branches resolved. */
static void scale_max(const gt_score_block *b, float *most)
{
    if (!b->wide)
        scale_max_as(b, most, false, true);
    else if (b->round)
        scale_max_as(b, most, true, true);
    else
        scale_max_as(b, most, true, false);
}

static void exp_sum(const gt_score_block *b, const float *most, float *sum)
{
    if (!b->wide)
        exp_sum_as(b, most, sum, false);
    else
        exp_sum_as(b, most, sum, true);
}

static void probability(const gt_score_block *b, const float *most, const float *factor)
{
    if (!b->wide)
        probability_as(b, most, factor, false, true);
    else if (b->round)
        probability_as(b, most, factor, true, true);
    else
        probability_as(b, most, factor, true, false);
}

static void gradient(const gt_score_block *b, void *ds, const float *dp, const float *lse, const float *delta)
{
    if (!b->wide)
        gradient_as(b, ds, dp, lse, delta, false, true);
    else if (b->round)
        gradient_as(b, ds, dp, lse, delta, true, true);
    else
        gradient_as(b, ds, dp, lse, delta, true, false);
}

static inline __m512 load_part(const void *p, int i, bool wide, __mmask16 on)
{
    return wide ? _mm512_maskz_loadu_ps(on, (const float *)p + i)
                : gt_widen_ps(_mm256_maskz_loadu_epi16(on, (const uint16_t *)p + i));
}

static inline __mmask16 first_lanes(int left)
{
    return left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
}

static inline float dot_as(const void *a, const void *b, bool wide, int n)
{
    __m512 sum = _mm512_setzero_ps();
    for (int i = 0; i < n; i += 16) {
        const __mmask16 on = first_lanes(n - i);
        sum = _mm512_fmadd_ps(load_part(a, i, wide, on), load_part(b, i, wide, on), sum);
    }
    return _mm512_reduce_add_ps(sum);
}

static float dot(const void *a, const void *b, bool wide, int n)
{
    return wide ? dot_as(a, b, true, n) : dot_as(a, b, false, n);
}

const gt_attention_rows gt_attention_rows_avx512 = {scale_max, exp_sum, probability, gradient, dot};
