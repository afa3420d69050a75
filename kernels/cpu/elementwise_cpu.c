/* Elements and rows to threads; bound by memory. Scattered rows must differ (elementwise.h), so two threads never add
 * to one. */
#include "cpu_kernels.h"
#include "row_loops.h"
#include "spread.h"

#include <string.h>

typedef struct {
    const gt_rows *rows;
    char *y;
    const char *in;
    gt_dtype y_dtype, in_dtype;
} job;

static void cast_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    j->rows->cast(j->y + begin * (j->y_dtype == GT_BF16 ? 2 : 4), j->y_dtype,
                  j->in + begin * (j->in_dtype == GT_BF16 ? 2 : 4), j->in_dtype, end - begin);
}

static gt_status cast(gt_dtype act, gt_exec *x, void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype,
                      size_t count)
{
    enum { GRAIN = 65536 };
    GT_TRY(gt_cast_check(act, y_dtype, in_dtype));
    job j = {gt_rows_current(), y, in, y_dtype, in_dtype};
    gt_spread(x, count, GRAIN, cast_range, &j);
    return GT_OK;
}

gt_status gt_cast_cpu_f32(gt_exec *x, void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype, size_t count)
{
    return cast(GT_F32, x, y, y_dtype, in, in_dtype, count);
}

gt_status gt_cast_cpu_bf16(gt_exec *x, void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype, size_t count)
{
    return cast(GT_BF16, x, y, y_dtype, in, in_dtype, count);
}

typedef struct {
    char *y;
    const char *in;
    const int32_t *row;
    size_t bytes; /* of a row */
} gather_job;

static void gather_range(const void *context, size_t begin, size_t end)
{
    const gather_job *j = context;
    for (size_t i = begin; i < end; i++) memcpy(j->y + i * j->bytes, j->in + (size_t)j->row[i] * j->bytes, j->bytes);
}

static gt_status gather(size_t size, gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols)
{
    GT_TRY(gt_gather_check(row, n));
    gather_job j = {y, in, row, (size_t)cols * size};
    gt_spread(x, (size_t)n, gt_spread_rows(cols), gather_range, &j);
    return GT_OK;
}

gt_status gt_gather_rows_cpu_f32(gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols)
{
    return gather(4, x, y, in, row, n, cols);
}

gt_status gt_gather_rows_cpu_bf16(gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols)
{
    return gather(2, x, y, in, row, n, cols);
}

typedef struct {
    const gt_rows *rows;
    float *dst;
    const float *src;
    const int32_t *row;
    size_t cols;
} scatter_job;

static void scatter_range(const void *context, size_t begin, size_t end)
{
    const scatter_job *j = context;
    for (size_t i = begin; i < end; i++)
        j->rows->add(j->dst + (size_t)j->row[i] * j->cols, j->src + i * j->cols, j->cols);
}

gt_status gt_scatter_rows_cpu(gt_exec *x, float *dst, int dst_rows, const float *src, const int32_t *row, int n,
                              int cols)
{
    GT_TRY(gt_scatter_check(row, n, dst_rows));
    scatter_job j = {gt_rows_current(), dst, src, row, (size_t)cols};
    gt_spread(x, (size_t)n, gt_spread_rows(cols), scatter_range, &j);
    return GT_OK;
}
