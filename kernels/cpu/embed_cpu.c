/* A row is decoded to act by the path's decoder and scaled in cache. Floor: one embedding row read and one written a
 * token. */
#include "cpu_kernels.h"
#include "row_loops.h"
#include "spread.h"

typedef struct {
    const gt_rows *rows;
    int type; /* index of act in gt_rows */
    char *out;
    size_t row_bytes;
    const gt_matrix *e;
    const int32_t *ids;
    float multiplier;
} job;

static void embed_rows(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    size_t cols = (size_t)j->e->cols;
    for (size_t i = begin; i < end; i++) {
        char *out = j->out + i * j->row_bytes;
        j->rows->decode[j->type](out, j->e, (size_t)j->ids[i] * cols, cols);
        j->rows->scale[j->type](out, j->multiplier, cols);
    }
}

static gt_status embed(int type, gt_exec *x, void *out, const gt_matrix *e, const int32_t *ids, int n, float multiplier)
{
    GT_TRY(gt_embed_check(e, ids, n));
    job j = {gt_rows_current(), type, out, (size_t)e->cols * (type ? 2 : 4), e, ids, multiplier};
    gt_spread(x, (size_t)n, gt_spread_rows(e->cols), embed_rows, &j);
    return GT_OK;
}

gt_status gt_embed_cpu_f32(gt_exec *x, void *out, const gt_matrix *e, const int32_t *ids, int n, float multiplier)
{
    return embed(0, x, out, e, ids, n, multiplier);
}

gt_status gt_embed_cpu_bf16(gt_exec *x, void *out, const gt_matrix *e, const int32_t *ids, int n, float multiplier)
{
    return embed(1, x, out, e, ids, n, multiplier);
}
