/* Copies between dtypes and between rows. Nothing is summed here but one float32 term an element, so every backend must
 * give these very bits. */
#include "ref_access.h"
#include "ref_kernels.h"

#include <string.h>

typedef struct {
    gt_dtype y_dtype, in_dtype;
    void *y;
    const void *in;
    size_t count;
} cast_job;

enum { CHUNK = 4096 };

static void cast_chunk(void *context, int task, int worker)
{
    (void)worker;
    const cast_job *j = context;
    size_t begin = (size_t)task * CHUNK, end = j->count - begin < CHUNK ? j->count : begin + CHUNK;
    for (size_t i = begin; i < end; i++)
        gt_ref_put(j->y_dtype, j->y, (ptrdiff_t)i, gt_ref_get(j->in_dtype, j->in, (ptrdiff_t)i));
}

static gt_status cast(gt_dtype act, gt_exec *x, void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype,
                      size_t count)
{
    GT_TRY(gt_cast_check(act, y_dtype, in_dtype));
    if (count == 0) return GT_OK;
    if ((count - 1) / CHUNK >= INT32_MAX) return GT_FAIL(GT_ERR_ARG, "cast of %zu elements in one call", count);
    cast_job j = {y_dtype, in_dtype, y, in, count};
    gt_pool_run(x->pool, (int)((count - 1) / CHUNK + 1), cast_chunk, &j);
    return GT_OK;
}

typedef struct {
    char *y;
    const char *in;
    const int32_t *row;
    size_t bytes; /* of a row */
} gather_job;

static void gather_row(void *context, int i, int worker)
{
    (void)worker;
    const gather_job *j = context;
    memcpy(j->y + (size_t)i * j->bytes, j->in + (size_t)j->row[i] * j->bytes, j->bytes);
}

static gt_status gather(gt_dtype act, gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols)
{
    GT_TRY(gt_gather_check(row, n));
    gather_job j = {y, in, row, (size_t)cols * gt_ref_size(act)};
    gt_pool_run(x->pool, n, gather_row, &j);
    return GT_OK;
}

gt_status gt_scatter_rows_ref(gt_exec *x, float *dst, int dst_rows, const float *src, const int32_t *row, int n,
                              int cols)
{
    (void)x;
    GT_TRY(gt_scatter_check(row, n, dst_rows));
    for (int i = 0; i < n; i++)
        for (int c = 0; c < cols; c++) dst[(ptrdiff_t)row[i] * cols + c] += src[(ptrdiff_t)i * cols + c];
    return GT_OK;
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_cast_ref_##suffix(gt_exec *x, void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype,           \
                                   size_t count)                                                                       \
    {                                                                                                                  \
        return cast(type, x, y, y_dtype, in, in_dtype, count);                                                         \
    }                                                                                                                  \
    gt_status gt_gather_rows_ref_##suffix(gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols)    \
    {                                                                                                                  \
        return gather(type, x, y, in, row, n, cols);                                                                   \
    }
GT_REF_EACH(INSTANCE)
