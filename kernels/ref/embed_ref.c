/* Two roundings, as the reference model holds its table: E to act first, then the product with the multiplier. */
#include "ref_access.h"
#include "ref_kernels.h"

typedef struct {
    gt_dtype act;
    void *out;
    const gt_matrix *e;
    const int32_t *ids;
    float multiplier;
} job;

enum { CHUNK = 256 };

static void embed_row(void *context, int task, int worker)
{
    (void)worker;
    const job *j = context;
    double v[CHUNK];
    size_t cols = (size_t)j->e->cols, from = (size_t)j->ids[task] * cols, to = (size_t)task * cols;
    for (size_t c = 0; c < cols; c += CHUNK) {
        size_t n = cols - c < CHUNK ? cols - c : CHUNK;
        gt_decode_exact(v, j->e, from + c, n);
        for (size_t i = 0; i < n; i++)
            gt_ref_put(j->act, j->out, (ptrdiff_t)(to + c + i), gt_ref_stored(j->act, v[i]) * (double)j->multiplier);
    }
}

static gt_status embed(gt_dtype act, gt_exec *x, void *out, const gt_matrix *e, const int32_t *ids, int n,
                       float multiplier)
{
    GT_TRY(gt_embed_check(e, ids, n));
    job j = {act, out, e, ids, multiplier};
    gt_pool_run(x->pool, n, embed_row, &j);
    return GT_OK;
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_embed_ref_##suffix(gt_exec *x, void *out, const gt_matrix *e, const int32_t *ids, int n,              \
                                    float multiplier)                                                                  \
    {                                                                                                                  \
        return embed(type, x, out, e, ids, n, multiplier);                                                             \
    }
GT_REF_EACH(INSTANCE)
