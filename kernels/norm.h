/* norm.h - RMSNorm and its backward (docs/model/gemma3.md section 2.2, docs/model/backward.md section 1.2).
 *   r = 1 / sqrt(mean_j x_j^2 + eps);   y_j = round(x_j * r * g_j),  g = 1 + w in float32
 *   rmsnorm_add: out = round(residual + round(norm(in)))
 *   backward: u = dy * g, xh = x * r;   dx = round(r * (u - xh * mean_j(u_j xh_j)))
 * in, y, residual, out: [rows, cols] act, contiguous; g [cols] f32. Statistics in at least float32.
 * y may be in, out may be residual or in, dx may be dy (same dtype) or in. */
#ifndef GT_NORM_H
#define GT_NORM_H

#include "dtype.h"
#include "exec.h"

#include <stdbool.h>

typedef gt_status gt_rmsnorm_fn(gt_exec *x, void *y, const void *in, const float *g, int rows, int cols, float eps);
typedef gt_status gt_rmsnorm_add_fn(gt_exec *x, void *out, const void *residual, const void *in, const float *g,
                                    int rows, int cols, float eps);
/* dx_dtype, dy_dtype: act or GT_F32; accumulate (dx GT_F32 only, else GT_ERR_ARG): dx += instead of dx =. */
typedef gt_status gt_rmsnorm_bwd_fn(gt_exec *x, void *dx, gt_dtype dx_dtype, bool accumulate, const void *dy,
                                    gt_dtype dy_dtype, const void *in, const float *g, int rows, int cols, float eps);

/* GT_ERR_ARG unless the dtypes of a backward call are act or GT_F32 and accumulate goes with GT_F32. */
gt_status gt_rmsnorm_bwd_check(gt_dtype act, gt_dtype dx_dtype, bool accumulate, gt_dtype dy_dtype);

#endif
