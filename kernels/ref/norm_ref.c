#include "norm_ref.h"

#include "ref_access.h"
#include "ref_kernels.h"

#include <math.h>

typedef struct {
    gt_dtype act, dx_dtype, dy_dtype;
    bool accumulate;
    void *out;
    const void *residual, *in, *dy;
    const float *g;
    int cols;
    double eps;
} job;

double gt_ref_inverse_rms(gt_dtype act, const void *in, ptrdiff_t at, int cols, double eps)
{
    double sum = 0;
    for (int c = 0; c < cols; c++) {
        double v = gt_ref_get(act, in, at + c);
        sum += v * v;
    }
    return 1.0 / sqrt(sum / cols + eps);
}

static void norm_row(void *context, int task, int worker)
{
    (void)worker;
    const job *j = context;
    ptrdiff_t at = (ptrdiff_t)task * j->cols;
    double r = gt_ref_inverse_rms(j->act, j->in, at, j->cols, j->eps);
    for (int c = 0; c < j->cols; c++) {
        double y = gt_ref_get(j->act, j->in, at + c) * r * (double)j->g[c];
        if (j->residual) y = gt_ref_get(j->act, j->residual, at + c) + gt_ref_round(j->act, y);
        gt_ref_put(j->act, j->out, at + c, y);
    }
}

static void norm_bwd_row(void *context, int task, int worker)
{
    (void)worker;
    const job *j = context;
    ptrdiff_t at = (ptrdiff_t)task * j->cols;
    double r = gt_ref_inverse_rms(j->act, j->in, at, j->cols, j->eps), mean = 0;
    for (int c = 0; c < j->cols; c++)
        mean += gt_ref_get(j->dy_dtype, j->dy, at + c) * (double)j->g[c] * gt_ref_get(j->act, j->in, at + c) * r;
    mean /= j->cols;
    for (int c = 0; c < j->cols; c++) {
        double u = gt_ref_get(j->dy_dtype, j->dy, at + c) * (double)j->g[c];
        double dx = r * (u - gt_ref_get(j->act, j->in, at + c) * r * mean);
        if (j->accumulate) dx += gt_ref_get(j->dx_dtype, j->out, at + c);
        gt_ref_put(j->dx_dtype, j->out, at + c, dx);
    }
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_rmsnorm_ref_##suffix(gt_exec *x, void *y, const void *in, const float *g, int rows, int cols,         \
                                      float eps)                                                                       \
    {                                                                                                                  \
        job j = {.act = type, .out = y, .in = in, .g = g, .cols = cols, .eps = (double)eps};                           \
        gt_pool_run(x->pool, rows, norm_row, &j);                                                                      \
        return GT_OK;                                                                                                  \
    }                                                                                                                  \
    gt_status gt_rmsnorm_add_ref_##suffix(gt_exec *x, void *out, const void *residual, const void *in, const float *g, \
                                          int rows, int cols, float eps)                                               \
    {                                                                                                                  \
        job j = {.act = type, .out = out, .residual = residual, .in = in, .g = g, .cols = cols, .eps = (double)eps};   \
        gt_pool_run(x->pool, rows, norm_row, &j);                                                                      \
        return GT_OK;                                                                                                  \
    }                                                                                                                  \
    gt_status gt_rmsnorm_bwd_ref_##suffix(gt_exec *x, void *dx, gt_dtype dx_dtype, bool accumulate, const void *dy,    \
                                          gt_dtype dy_dtype, const void *in, const float *g, int rows, int cols,       \
                                          float eps)                                                                   \
    {                                                                                                                  \
        GT_TRY(gt_rmsnorm_bwd_check(type, dx_dtype, accumulate, dy_dtype));                                            \
        job j = {type, dx_dtype, dy_dtype, accumulate, dx, NULL, in, dy, g, cols, (double)eps};                        \
        gt_pool_run(x->pool, rows, norm_bwd_row, &j);                                                                  \
        return GT_OK;                                                                                                  \
    }
GT_REF_EACH(INSTANCE)
