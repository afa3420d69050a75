/* Elements and rows to threads; bound by memory. */
#include "elementwise.h"

#include "row_loops.h"
#include "spread.h"

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

gt_status gt_gather_rows_cpu_f32(gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols)
{
    return gt_gather_bytes(x, y, in, row, n, (size_t)cols * 4);
}

gt_status gt_gather_rows_cpu_bf16(gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols)
{
    return gt_gather_bytes(x, y, in, row, n, (size_t)cols * 2);
}
