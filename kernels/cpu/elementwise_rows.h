/* elementwise_rows.h - casts, scaling, adding, dropout, the optimizer and exact sums over a run of elements; included
 * by rows_<path>.c. All bound by memory: the loops are plain, the compiler vectorizes those written in scalars. */
#ifndef GT_ELEMENTWISE_ROWS_H
#define GT_ELEMENTWISE_ROWS_H

#include "lanes.h"
#include "rng.h"
#include "row_loops.h"

#include <math.h>

static void cast_run(void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype, size_t n)
{
    if (y_dtype == in_dtype) {
        memmove(y, in, n * (y_dtype == GT_BF16 ? 2 : 4));
        return;
    }
    ptrdiff_t i = 0;
    if (y_dtype == GT_BF16)
        for (; i + LANES <= (ptrdiff_t)n; i += LANES)
            v_store_bf16_exact((uint16_t *)y + i, v_load_f32((const float *)in + i));
    else
        for (; i + LANES <= (ptrdiff_t)n; i += LANES)
            v_store_f32((float *)y + i, v_load_bf16((const uint16_t *)in + i));
    for (; i < (ptrdiff_t)n; i++) {
        if (y_dtype == GT_BF16)
            ((uint16_t *)y)[i] = gt_f32_to_bf16(((const float *)in)[i]);
        else
            ((float *)y)[i] = gt_bf16_to_f32(((const uint16_t *)in)[i]);
    }
}

static void scale_f32(void *y, float factor, size_t n)
{
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i += LANES)
        v_store_left(GT_F32, y, i, (ptrdiff_t)n - i, v_load_left(GT_F32, y, i, (ptrdiff_t)n - i) * factor);
}

static void scale_bf16(void *y, float factor, size_t n)
{
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i += LANES)
        v_store_left(GT_BF16, y, i, (ptrdiff_t)n - i, v_load_left(GT_BF16, y, i, (ptrdiff_t)n - i) * factor);
}

static void add_run(float *y, const float *x, size_t n)
{
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i += LANES) {
        ptrdiff_t left = (ptrdiff_t)n - i;
        v_store_left(GT_F32, y, i, left, v_load_left(GT_F32, y, i, left) + v_load_left(GT_F32, x, i, left));
    }
}

/* v where element (row, col + lane) is kept, else 0. counter holds golden (col + lane + 1) of the first and the second
 * half of the lanes; this is gt_rng_u64 of rng.h, lane by lane. */
LANES_INLINE vfloat keep_lanes(const gt_dropout_row *r, const vu64 counter[2], vfloat v)
{
    vi64 keep[2];
    for (int half = 0; half < 2; half++) {
        vu64 z = counter[half] + r->key;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        z = z ^ (z >> 31);
        keep[half] = (vi64)(z >= r->threshold);
    }
#if defined(__AVX512F__)
    __mmask8 first = _mm512_movepi64_mask((__m512i)keep[0]), second = _mm512_movepi64_mask((__m512i)keep[1]);
    return (vfloat)_mm512_maskz_mov_ps((__mmask16)(first | second << 8), (__m512)v);
#else
    int64_t wide[LANES];
    int32_t narrow[LANES];
    vint mask;
    memcpy(wide, keep, sizeof wide);
    for (int l = 0; l < LANES; l++) narrow[l] = (int32_t)wide[l];
    memcpy(&mask, narrow, sizeof mask);
    return (vfloat)((vint)v & mask);
#endif
}

static void dropout_row(const gt_dropout_row *r)
{
    const uint64_t golden = 0x9e3779b97f4a7c15ull;
    vu64 counter[2];
    for (int l = 0; l < LANES; l++) counter[l / (LANES / 2)][l % (LANES / 2)] = golden * (uint64_t)(l + 1);
    for (ptrdiff_t i = 0; i < r->cols; i += LANES) {
        ptrdiff_t left = r->cols - i;
        vfloat v = keep_lanes(r, counter, v_load_left(r->in_dtype, r->in, i, left) * r->factor);
        if (r->accumulate) v += v_load_left(GT_F32, r->y, i, left);
        v_store_left(r->y_dtype, r->y, i, left, v);
        counter[0] += golden * LANES;
        counter[1] += golden * LANES;
    }
}

static void adamw_run(float *restrict p, float *restrict m, float *restrict v, const float *restrict g, size_t n,
                      const gt_adamw_factors *f)
{
    const gt_adamw_factors k = *f;
    for (size_t i = 0; i < n; i++) {
        float grad = g[i] * k.clip, param = p[i] - k.decay * p[i];
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * grad;
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * grad * grad;
        p[i] = param - k.step * (m[i] / (sqrtf(v[i]) / k.root_bc2 + k.eps));
    }
}

static bool fix_add_run(int64_t *restrict sum, const float *restrict g, size_t n, double unit)
{
    const double most = 0x1p53;
    int64_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        double t = rint((double)g[i] * unit); /* to nearest, ties to even: the rounding mode of the program */
        int64_t inside = fabs(t) <= most;     /* 0 for NaN */
        int64_t next = sum[i] + (int64_t)(inside ? t : 0.0);
        int64_t fits = next <= (int64_t)1 << 53 && next >= -((int64_t)1 << 53);
        sum[i] = fits ? next : sum[i];
        bad |= (inside & fits) ^ 1;
    }
    return bad != 0;
}

static void fix_get_run(float *restrict g, const int64_t *restrict sum, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++) g[i] = (float)((double)sum[i] * scale);
}

static double sum_squares_run(const float *g, size_t n)
{
    double lane[8] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) lane[l] += (double)g[i + (size_t)l] * (double)g[i + (size_t)l];
    for (int l = 0; i < n; i++, l++) lane[l] += (double)g[i] * (double)g[i];
    for (int l = 0; l < 8; l++) sum += lane[l];
    return sum;
}

#endif
