/* Rows to threads; the loops are norm_rows.h. Floor: in read once from memory, out written (backward: dy and dx too).
 */
#include "cpu_kernels.h"
#include "row_loops.h"
#include "spread.h"

typedef struct {
    const gt_rows *rows;
    int type; /* index of act in gt_rows */
    void *out;
    const void *residual, *in, *dy;
    gt_dtype dx_dtype, dy_dtype;
    bool accumulate;
    const float *g;
    int cols;
    float eps;
} job;

static size_t size_of(gt_dtype t)
{
    return t == GT_BF16 ? 2 : 4;
}

static void norm_rows_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    size_t bytes = (size_t)j->cols * (j->type ? 2 : 4);
    for (size_t r = begin; r < end; r++)
        j->rows->norm[j->type]((char *)j->out + r * bytes, j->residual ? (const char *)j->residual + r * bytes : NULL,
                               (const char *)j->in + r * bytes, j->g, j->cols, j->eps);
}

static void norm_bwd_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    size_t cols = (size_t)j->cols;
    for (size_t r = begin; r < end; r++)
        j->rows->norm_bwd[j->type]((char *)j->out + r * cols * size_of(j->dx_dtype), j->dx_dtype, j->accumulate,
                                   (const char *)j->dy + r * cols * size_of(j->dy_dtype), j->dy_dtype,
                                   (const char *)j->in + r * cols * (j->type ? 2 : 4), j->g, j->cols, j->eps);
}

static gt_status forward(int type, gt_exec *x, void *out, const void *residual, const void *in, const float *g,
                         int rows, int cols, float eps)
{
    job j = {.rows = gt_rows_current(), .type = type, .out = out, .residual = residual, .in = in, .g = g};
    j.cols = cols;
    j.eps = eps;
    gt_spread(x, (size_t)rows, gt_spread_rows(cols), norm_rows_range, &j);
    return GT_OK;
}

#define INSTANCE(suffix, index, act)                                                                                   \
    gt_status gt_rmsnorm_cpu_##suffix(gt_exec *x, void *y, const void *in, const float *g, int rows, int cols,         \
                                      float eps)                                                                       \
    {                                                                                                                  \
        return forward(index, x, y, NULL, in, g, rows, cols, eps);                                                     \
    }                                                                                                                  \
    gt_status gt_rmsnorm_add_cpu_##suffix(gt_exec *x, void *out, const void *residual, const void *in, const float *g, \
                                          int rows, int cols, float eps)                                               \
    {                                                                                                                  \
        return forward(index, x, out, residual, in, g, rows, cols, eps);                                               \
    }                                                                                                                  \
    gt_status gt_rmsnorm_bwd_cpu_##suffix(gt_exec *x, void *dx, gt_dtype dx_dtype, bool accumulate, const void *dy,    \
                                          gt_dtype dy_dtype, const void *in, const float *g, int rows, int cols,       \
                                          float eps)                                                                   \
    {                                                                                                                  \
        GT_TRY(gt_rmsnorm_bwd_check(act, dx_dtype, accumulate, dy_dtype));                                             \
        job j = {gt_rows_current(), index, dx, NULL, in, dy, dx_dtype, dy_dtype, accumulate, g, cols, eps};            \
        gt_spread(x, (size_t)rows, gt_spread_rows(cols), norm_bwd_range, &j);                                          \
        return GT_OK;                                                                                                  \
    }
INSTANCE(f32, 0, GT_F32)
INSTANCE(bf16, 1, GT_BF16)
