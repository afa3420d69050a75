#include "elementwise.h"

#include "ref_access.h"

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

gt_status gt_cast_check(gt_dtype act, gt_dtype y_dtype, gt_dtype in_dtype)
{
    if ((y_dtype != act && y_dtype != GT_F32) || (in_dtype != act && in_dtype != GT_F32))
        return GT_FAIL(GT_ERR_ARG, "cast from %s to %s; expected %s or F32", gt_dtype_name(in_dtype),
                       gt_dtype_name(y_dtype), gt_dtype_name(act));
    return GT_OK;
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

gt_status gt_gather_bytes(gt_exec *x, void *y, const void *in, const int32_t *row, int n, size_t row_bytes)
{
    for (int i = 0; i < n; i++)
        if (row[i] < 0) return GT_FAIL(GT_ERR_ARG, "gathers row %d", (int)row[i]);
    gather_job j = {y, in, row, row_bytes};
    gt_pool_run(x->pool, n, gather_row, &j);
    return GT_OK;
}

typedef struct {
    float *dst;
    const float *src;
    const int32_t *row;
    int cols;
} scatter_job;

static void scatter_row(void *context, int i, int worker)
{
    (void)worker;
    const scatter_job *j = context;
    float *dst = j->dst + (ptrdiff_t)j->row[i] * j->cols;
    const float *src = j->src + (ptrdiff_t)i * j->cols;
    for (int c = 0; c < j->cols; c++) dst[c] += src[c];
}

gt_status gt_scatter_rows(gt_exec *x, float *dst, int dst_rows, const float *src, const int32_t *row, int n, int cols)
{
    for (int i = 0; i < n; i++)
        if (row[i] < 0 || row[i] >= dst_rows)
            return GT_FAIL(GT_ERR_ARG, "scatters to row %d of %d", (int)row[i], dst_rows);
    scatter_job j = {dst, src, row, cols};
    gt_pool_run(x->pool, n, scatter_row, &j);
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
        return gt_gather_bytes(x, y, in, row, n, (size_t)cols * gt_ref_size(type));                                    \
    }
GT_REF_EACH(INSTANCE)
