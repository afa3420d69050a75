/* The rows of a matrix to act, through gt_decode_exact: values in double, rounded once more when stored. */
#include "ref_access.h"
#include "ref_kernels.h"

typedef struct {
    gt_dtype act;
    void *out;
    const gt_matrix *m;
    int row0;
} job;

enum { CHUNK = 256 }; /* a multiple of every format's block */

static void decode_row(void *context, int task, int worker)
{
    (void)worker;
    const job *j = context;
    double v[CHUNK];
    size_t cols = (size_t)j->m->cols, from = ((size_t)j->row0 + (size_t)task) * cols, to = (size_t)task * cols;
    for (size_t c = 0; c < cols; c += CHUNK) {
        size_t n = cols - c < CHUNK ? cols - c : CHUNK;
        gt_decode_exact(v, j->m, from + c, n);
        for (size_t i = 0; i < n; i++) gt_ref_put(j->act, j->out, (ptrdiff_t)(to + c + i), v[i]);
    }
}

static gt_status decode(gt_dtype act, gt_exec *x, void *out, const gt_matrix *m, int row0, int nrows)
{
    GT_TRY(gt_decode_check(m, row0, nrows));
    job j = {act, out, m, row0};
    gt_pool_run(x->pool, nrows, decode_row, &j);
    return GT_OK;
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_decode_ref_##suffix(gt_exec *x, void *out, const gt_matrix *m, int row0, int nrows)                   \
    {                                                                                                                  \
        return decode(type, x, out, m, row0, nrows);                                                                   \
    }                                                                                                                  \
    gt_status gt_decode_weight_ref_##suffix(gt_exec *x, void *out, const gt_matrix *m, gt_weight_order order)          \
    {                                                                                                                  \
        (void)order;                                                                                                   \
        return decode(type, x, out, m, 0, m->rows);                                                                    \
    }
GT_REF_EACH(INSTANCE)
