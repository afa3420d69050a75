/* The head by the definition: all logits of a chunk of rows, then their softmax. */
#include "checked.h"
#include "ref_access.h"
#include "ref_kernels.h"

#include <math.h>

/* Rows go in chunks; the vocabulary in PARTS fixed parts, each of which sums its share of dxf apart: the parts are then
 * added in order, so that the result does not depend on the threads. */
enum { CHUNK_ROWS = 16, PARTS = 16 };

typedef struct {
    gt_dtype act;
    gt_exec *x;
    const gt_matrix *embed;
    const void *xf; /* the chunk's rows */
    int rows, hidden;
    double *z;        /* [rows, V], then the gradient of z */
    double *dxf_part; /* [PARTS, rows, hidden] */
} job;

size_t gt_head_buffer_bytes_ref(int rows, int hidden, int vocab)
{
    size_t chunk = (size_t)(rows < CHUNK_ROWS ? rows : CHUNK_ROWS);
    return chunk * ((size_t)vocab + PARTS * (size_t)hidden) * sizeof(double);
}

size_t gt_head_scratch_ref(int hidden)
{
    return (size_t)hidden * sizeof(double);
}

static void part_range(const job *j, int part, int *begin, int *end)
{
    *begin = (int)((int64_t)j->embed->rows * part / PARTS);
    *end = (int)((int64_t)j->embed->rows * (part + 1) / PARTS);
}

/* Row v of E, rounded to act, in double. */
static void embedding_row(const job *j, int v, double *e)
{
    gt_decode_exact(e, j->embed, (size_t)v * (size_t)j->hidden, (size_t)j->hidden);
    for (int c = 0; c < j->hidden; c++) {
        if (j->act == GT_BF16)
            e[c] = gt_ref_round(GT_BF16, e[c]);
        else if (j->act == GT_F32)
            e[c] = (float)e[c];
    }
}

static void logits_part(void *context, int part, int worker)
{
    const job *j = context;
    double *e = gt_exec_scratch(j->x, worker);
    int begin, end;
    part_range(j, part, &begin, &end);
    for (int v = begin; v < end; v++) {
        embedding_row(j, v, e);
        for (int r = 0; r < j->rows; r++) {
            double s = 0;
            for (int c = 0; c < j->hidden; c++) s += gt_ref_get(j->act, j->xf, (ptrdiff_t)r * j->hidden + c) * e[c];
            j->z[(ptrdiff_t)r * j->embed->rows + v] = s;
        }
    }
}

static void gradient_part(void *context, int part, int worker)
{
    const job *j = context;
    double *e = gt_exec_scratch(j->x, worker), *sum = j->dxf_part + (ptrdiff_t)part * j->rows * j->hidden;
    int begin, end;
    part_range(j, part, &begin, &end);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)j->rows * j->hidden; i++) sum[i] = 0;
    for (int v = begin; v < end; v++) {
        embedding_row(j, v, e);
        for (int r = 0; r < j->rows; r++) {
            double dz = j->z[(ptrdiff_t)r * j->embed->rows + v];
            for (int c = 0; c < j->hidden; c++) sum[(ptrdiff_t)r * j->hidden + c] += dz * e[c];
        }
    }
}

/* Loss and argmax of one row; z becomes its gradient. */
static void row_loss(double *z, int vocab, int target, double *loss, int32_t *argmax)
{
    double most = -INFINITY, sum = 0;
    int best = 0;
    for (int v = 0; v < vocab; v++)
        if (z[v] > most) {
            most = z[v];
            best = v;
        }
    for (int v = 0; v < vocab; v++) sum += exp(z[v] - most);
    double lse = most + log(sum);
    *loss = lse - z[target];
    if (argmax) *argmax = best;
    for (int v = 0; v < vocab; v++) z[v] = exp(z[v] - lse) - (v == target ? 1 : 0);
}

static gt_status check(gt_exec *x, const gt_matrix *embed, int rows, int hidden, const int32_t *target,
                       size_t buffer_bytes)
{
    GT_TRY(
        gt_head_check(embed, rows, hidden, target, buffer_bytes, gt_head_buffer_bytes_ref(rows, hidden, embed->rows)));
    if (gt_head_scratch_ref(hidden) > x->scratch_stride)
        return GT_FAIL(GT_ERR_ARG, "head of width %d needs %zu bytes of scratch a worker, there are %zu", hidden,
                       gt_head_scratch_ref(hidden), x->scratch_stride);
    return GT_OK;
}

static gt_status head_loss(gt_dtype act, gt_exec *x, const gt_head_loss *h)
{
    GT_TRY(check(x, h->embed, h->rows, h->hidden, h->target, h->buffer_bytes));
    int vocab = h->embed->rows;
    for (int r0 = 0; r0 < h->rows; r0 += CHUNK_ROWS) {
        int rows = gt_min_int(CHUNK_ROWS, h->rows - r0);
        double *z = h->buffer, *part = z + (ptrdiff_t)rows * vocab;
        job j = {act, x, h->embed, gt_ref_at(act, h->xf, (ptrdiff_t)r0 * h->hidden), rows, h->hidden, z, part};
        gt_pool_run(x->pool, PARTS, logits_part, &j);
        for (int r = 0; r < rows; r++)
            row_loss(z + (ptrdiff_t)r * vocab, vocab, h->target[r0 + r], &h->loss[r0 + r],
                     h->argmax ? &h->argmax[r0 + r] : NULL);
        if (!h->dxf) continue;
        gt_pool_run(x->pool, PARTS, gradient_part, &j);
        for (ptrdiff_t i = 0; i < (ptrdiff_t)rows * h->hidden; i++) {
            double sum = 0;
            for (int p = 0; p < PARTS; p++) sum += part[(ptrdiff_t)p * rows * h->hidden + i];
            h->dxf[(ptrdiff_t)r0 * h->hidden + i] = (float)sum;
        }
    }
    return GT_OK;
}

static gt_status head_logits(gt_dtype act, gt_exec *x, float *logits, const void *xf, int rows, int hidden,
                             const gt_matrix *embed, void *buffer, size_t buffer_bytes)
{
    GT_TRY(check(x, embed, rows, hidden, NULL, buffer_bytes));
    for (int r0 = 0; r0 < rows; r0 += CHUNK_ROWS) {
        int n = gt_min_int(CHUNK_ROWS, rows - r0);
        job j = {act, x, embed, gt_ref_at(act, xf, (ptrdiff_t)r0 * hidden), n, hidden, buffer, NULL};
        gt_pool_run(x->pool, PARTS, logits_part, &j);
        for (ptrdiff_t i = 0; i < (ptrdiff_t)n * embed->rows; i++)
            logits[(ptrdiff_t)r0 * embed->rows + i] = (float)j.z[i];
    }
    return GT_OK;
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_head_loss_ref_##suffix(gt_exec *x, const gt_head_loss *h)                                             \
    {                                                                                                                  \
        return head_loss(type, x, h);                                                                                  \
    }                                                                                                                  \
    gt_status gt_head_logits_ref_##suffix(gt_exec *x, float *logits, const void *xf, int rows, int hidden,             \
                                          const gt_matrix *embed, void *buffer, size_t buffer_bytes)                   \
    {                                                                                                                  \
        return head_logits(type, x, logits, xf, rows, hidden, embed, buffer, buffer_bytes);                            \
    }
GT_REF_EACH(INSTANCE)
