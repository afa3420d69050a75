/* Rows to threads; the loop is in elementwise_rows.h. The random numbers, not memory, set the pace: some five integer
 * operations of 64 bits an element, two of them products. */
#include "cpu_kernels.h"
#include "row_loops.h"
#include "spread.h"

#include <string.h>

typedef struct {
    const gt_rows *rows;
    gt_dropout_row row; /* y, in and key are the call's; each row takes its own */
    const uint64_t *row_key;
    uint64_t module_key;
    bool drop_all;
} job;

static void dropout_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    size_t cols = (size_t)j->row.cols, y_bytes = cols * (j->row.y_dtype == GT_BF16 ? 2 : 4);
    size_t in_bytes = cols * (j->row.in_dtype == GT_BF16 ? 2 : 4);
    for (size_t i = begin; i < end; i++) {
        gt_dropout_row r = j->row;
        r.y = (char *)j->row.y + i * y_bytes;
        r.in = (const char *)j->row.in + i * in_bytes;
        r.key = j->row_key[i] ^ j->module_key;
        if (!j->drop_all)
            j->rows->dropout(&r);
        else if (!r.accumulate)
            memset(r.y, 0, y_bytes);
    }
}

static gt_status dropout(gt_dtype act, gt_exec *x, void *y, gt_dtype y_dtype, bool accumulate, const void *in,
                         gt_dtype in_dtype, const uint64_t *row_key, uint64_t module_key, float p, int rows, int cols)
{
    job j = {.rows = gt_rows_current(), .row_key = row_key, .module_key = module_key};
    j.row = (gt_dropout_row){y, in, y_dtype, in_dtype, accumulate, 0, 0, (float)(1 / (1 - (double)p)), cols};
    GT_TRY(gt_dropout_check(act, y_dtype, accumulate, in_dtype, p, &j.row.threshold, &j.drop_all));
    gt_spread(x, (size_t)rows, gt_spread_rows(cols), dropout_range, &j);
    return GT_OK;
}

gt_status gt_dropout_cpu_f32(gt_exec *x, void *y, gt_dtype y_dtype, bool accumulate, const void *in, gt_dtype in_dtype,
                             const uint64_t *row_key, uint64_t module_key, float p, int rows, int cols)
{
    return dropout(GT_F32, x, y, y_dtype, accumulate, in, in_dtype, row_key, module_key, p, rows, cols);
}

gt_status gt_dropout_cpu_bf16(gt_exec *x, void *y, gt_dtype y_dtype, bool accumulate, const void *in, gt_dtype in_dtype,
                              const uint64_t *row_key, uint64_t module_key, float p, int rows, int cols)
{
    return dropout(GT_BF16, x, y, y_dtype, accumulate, in, in_dtype, row_key, module_key, p, rows, cols);
}
