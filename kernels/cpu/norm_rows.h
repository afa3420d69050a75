/* norm_rows.h - RMSNorm over one row; included by rows_<path>.c. A row is read twice, the second time from cache;
 * squares are summed in float32 in LANES running sums. */
#ifndef GT_NORM_ROWS_H
#define GT_NORM_ROWS_H

#include "lanes.h"

#include <math.h>
#include <stdbool.h>

LANES_INLINE float inverse_rms(gt_dtype t, const void *in, ptrdiff_t cols, float eps)
{
    vfloat sum = {0}, more = {0};
    ptrdiff_t i = 0;
    for (; i + 2 * LANES <= cols; i += 2 * LANES) {
        vfloat a = v_load(t, in, i), b = v_load(t, in, i + LANES);
        sum += a * a;
        more += b * b;
    }
    for (; i < cols; i += LANES) {
        vfloat a = v_load_left(t, in, i, cols - i);
        sum += a * a;
    }
    return (float)(1.0 / sqrt((double)v_sum(sum + more) / (double)cols + (double)eps));
}

LANES_INLINE void norm_row(gt_dtype t, void *out, const void *residual, const void *in, const float *g, int cols,
                           float eps)
{
    float r = inverse_rms(t, in, cols, eps);
    for (ptrdiff_t i = 0; i < cols; i += LANES) {
        ptrdiff_t left = cols - i;
        vfloat y = v_load_left(t, in, i, left) * r * v_load_left(GT_F32, g, i, left);
        if (residual) y = v_load_left(t, residual, i, left) + v_round(t, y);
        v_store_left(t, out, i, left, y);
    }
}

LANES_INLINE void norm_bwd_row(gt_dtype t, void *dx, gt_dtype dx_dtype, bool accumulate, const void *dy,
                               gt_dtype dy_dtype, const void *in, const float *g, int cols, float eps)
{
    float r = inverse_rms(t, in, cols, eps);
    vfloat dots = {0};
    for (ptrdiff_t i = 0; i < cols; i += LANES) {
        ptrdiff_t left = cols - i;
        vfloat u = v_load_left(dy_dtype, dy, i, left) * v_load_left(GT_F32, g, i, left);
        dots += u * (v_load_left(t, in, i, left) * r);
    }
    float mean = v_sum(dots) / (float)cols;
    for (ptrdiff_t i = 0; i < cols; i += LANES) {
        ptrdiff_t left = cols - i;
        vfloat u = v_load_left(dy_dtype, dy, i, left) * v_load_left(GT_F32, g, i, left);
        vfloat d = r * (u - v_load_left(t, in, i, left) * r * mean);
        if (accumulate) d += v_load_left(GT_F32, dx, i, left);
        v_store_left(dx_dtype, dx, i, left, d);
    }
}

#define NORM_ROWS(suffix, type)                                                                                        \
    static void norm_##suffix(void *out, const void *residual, const void *in, const float *g, int cols, float eps)    \
    {                                                                                                                  \
        norm_row(type, out, residual, in, g, cols, eps);                                                               \
    }                                                                                                                  \
    static void norm_bwd_##suffix(void *dx, gt_dtype dx_dtype, bool accumulate, const void *dy, gt_dtype dy_dtype,     \
                                  const void *in, const float *g, int cols, float eps)                                 \
    {                                                                                                                  \
        norm_bwd_row(type, dx, dx_dtype, accumulate, dy, dy_dtype, in, g, cols, eps);                                  \
    }
NORM_ROWS(f32, GT_F32)
NORM_ROWS(bf16, GT_BF16)

#endif
