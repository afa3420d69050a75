/* The mask is never stored: each element asks the counter-based generator again, so this file and any backend agree as
 * soon as they agree on the key and the column. */
#include "ref_access.h"
#include "ref_kernels.h"
#include "rng.h"

typedef struct {
    gt_dtype y_dtype, in_dtype;
    bool accumulate, drop_all;
    void *y;
    const void *in;
    const uint64_t *row_key;
    uint64_t module_key, threshold;
    double keep; /* 1 - p */
    int cols;
} job;

static void dropout_row(void *context, int row, int worker)
{
    (void)worker;
    const job *j = context;
    uint64_t key = j->row_key[row] ^ j->module_key;
    for (int c = 0; c < j->cols; c++) {
        ptrdiff_t i = (ptrdiff_t)row * j->cols + c;
        bool kept = !j->drop_all && gt_rng_u64(key, (uint64_t)c) >= j->threshold;
        double v = kept ? gt_ref_get(j->in_dtype, j->in, i) / j->keep : 0;
        if (j->accumulate) v += gt_ref_get(j->y_dtype, j->y, i);
        gt_ref_put(j->y_dtype, j->y, i, v);
    }
}

static gt_status dropout(gt_dtype act, gt_exec *x, void *y, gt_dtype y_dtype, bool accumulate, const void *in,
                         gt_dtype in_dtype, const uint64_t *row_key, uint64_t module_key, float p, int rows, int cols)
{
    job j = {y_dtype, in_dtype, accumulate, false, y, in, row_key, module_key, 0, 1 - (double)p, cols};
    GT_TRY(gt_dropout_check(act, y_dtype, accumulate, in_dtype, p, &j.threshold, &j.drop_all));
    gt_pool_run(x->pool, rows, dropout_row, &j);
    return GT_OK;
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_dropout_ref_##suffix(gt_exec *x, void *y, gt_dtype y_dtype, bool accumulate, const void *in,          \
                                      gt_dtype in_dtype, const uint64_t *row_key, uint64_t module_key, float p,        \
                                      int rows, int cols)                                                              \
    {                                                                                                                  \
        return dropout(type, x, y, y_dtype, accumulate, in, in_dtype, row_key, module_key, p, rows, cols);             \
    }
GT_REF_EACH(INSTANCE)
