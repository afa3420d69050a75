/* xent_cpu.c - the head's loss and its gradient in one pass over the embedding.
 *
 * The vocabulary is dealt out to sections that depend on its size alone. A section walks its tiles of E once, keeping
 * for each row of the batch the greatest logit m, the sum of exp(z - m) and the vector sum of exp(z - m) E_j, all
 * rescaled when m grows; at the end the sections are added in order and E_target is taken away. So neither logits nor
 * their gradients are ever stored, E is read from memory once a call and its second use finds it in the cache; the
 * products take E as the left operand where they can, which spares repacking it. Floor: 4 rows V H operations, or one
 * read of E. The greatest logit's exponential is 1 without error, so a confident row's small gradient does not drown in
 * the rounding of the others to bf16. */
#include "arena.h"
#include "checked.h"
#include "cpu_kernels.h"
#include "onednn.h"
#include "task_error.h"
#include "xent_plan_cpu.h"

#include <math.h>
#include <string.h>

enum {
    SECTIONS = 64,
    ROWS = 256, /* rows a pass over E; fewer where their vector sums would take too much: */
    BUFFER = 48 << 20,
    ROWS_MIN = 64
};

static int sections_for(int vocab)
{
    return gt_min_int(SECTIONS, (vocab + GT_HEAD_TILE - 1) / GT_HEAD_TILE);
}

/* Rows of one pass; their number rounded up as the products take them. */
static int pass_rows(int hidden)
{
    const long long fit = (long long)BUFFER / ((long long)SECTIONS * (long long)sizeof(float) * gt_max_int(hidden, 1));
    return (int)(fit > ROWS ? ROWS : fit < ROWS_MIN ? ROWS_MIN : fit / GT_HEAD_GROUP * GT_HEAD_GROUP);
}

static int padded_rows(int rows)
{
    return (rows + 15) / 16 * 16;
}

/* What the sections leave behind; [sections, padded] each, the sums [sections, padded, hidden]. */
typedef struct {
    void *x; /* [padded, hidden] operands, zeros below */
    float *most, *at_target, *vector;
    double *sum;
    int32_t *best;
} partials;

static partials carve(gt_cursor *c, int rows, int hidden, int vocab)
{
    const size_t r = (size_t)padded_rows(gt_min_int(rows, pass_rows(hidden))), h = (size_t)hidden,
                 s = (size_t)sections_for(vocab);
    partials p;
    p.x = gt_cursor_take(c, r * h, sizeof(float));
    p.most = gt_cursor_take(c, s * r, sizeof *p.most);
    p.at_target = gt_cursor_take(c, s * r, sizeof *p.at_target);
    p.vector = gt_cursor_take(c, s * r * h, sizeof *p.vector);
    p.sum = gt_cursor_take(c, s * r, sizeof *p.sum);
    p.best = gt_cursor_take(c, s * r, sizeof *p.best);
    return p;
}

size_t gt_head_buffer_bytes_cpu(int rows, int hidden, int vocab)
{
    gt_cursor c = {0};
    carve(&c, rows, hidden, vocab);
    return c.used;
}

typedef struct {
    gt_head_plan plan;
    gt_exec *x;
    const gt_head_loss *h;
    partials part;
    int sections, row0, rows, padded; /* rows [row0, row0 + rows) of the batch are in this pass */
    gt_task_error error;
} head;

/* The vector sums of rows whose greatest logit grew from `before` are brought to the new scale. */
static void rescale(const head *h, size_t at, int cols, const float *before)
{
    const size_t width = (size_t)h->plan.hidden;
    for (int c = 0; c < cols; c++) {
        const float now = h->part.most[at + (size_t)c];
        if (!(now > before[c])) continue;
        const float factor = expf(before[c] - now);
        h->part.sum[at + (size_t)c] *= (double)factor;
        float *v = h->part.vector + (at + (size_t)c) * width;
        if (h->h->dxf)
            for (size_t j = 0; j < width; j++) v[j] *= factor;
    }
}

/* One tile of E under one group of rows [r0, r0 + cols), cols a multiple of 16. at: their place in the partials. */
static gt_status group(const head *h, const void *e, int v0, int count, int r0, int cols, size_t at, bool first,
                       const gt_head_scratch *s)
{
    const gt_head_plan *p = &h->plan;
    const partials *out = &h->part;
    const int width = p->hidden;
    const void *x = (const char *)out->x + (size_t)r0 * (size_t)width * gt_head_operand_bytes(p);
    const gt_onednn_product logits = {.m = count,
                                      .n = cols,
                                      .k = width,
                                      .lda = width,
                                      .ldb = width,
                                      .ldc = cols,
                                      .tb = true,
                                      .alpha = 1.0f,
                                      .ab = p->operand,
                                      .c = GT_F32};
    GT_TRY(gt_onednn_run(&logits, e, x, s->z, s->onednn));
    float before[GT_HEAD_GROUP];
    memcpy(before, out->most + at, (size_t)cols * sizeof *before);
    p->tiles->tile_max(s->z, count, cols, v0, out->most + at, out->best + at);
    if (!first) rescale(h, at, cols, before);
    p->tiles->tile_exp(s->z, count, cols, out->most + at, out->sum + at, s->p, p->operand == GT_F32, p->act == GT_BF16);
    for (int c = 0; c < cols && r0 + c < h->rows; c++) {
        const int target = h->h->target[h->row0 + r0 + c];
        if (target >= v0 && target < v0 + count)
            out->at_target[at + (size_t)c] = s->z[(size_t)(target - v0) * (size_t)cols + (size_t)c];
    }
    if (!h->h->dxf) return GT_OK;
    const gt_onednn_product sums = {.m = cols,
                                    .n = width,
                                    .k = count,
                                    .lda = cols,
                                    .ldb = width,
                                    .ldc = width,
                                    .ta = true,
                                    .alpha = 1.0f,
                                    .beta = first ? 0.0f : 1.0f,
                                    .ab = p->operand,
                                    .c = GT_F32};
    return gt_onednn_run(&sums, s->p, e, out->vector + at * (size_t)width, s->onednn);
}

static gt_status section(const head *h, int index, const gt_head_scratch *s)
{
    const int vocab = h->plan.embed->rows, tiles = (vocab + GT_HEAD_TILE - 1) / GT_HEAD_TILE;
    const size_t at = (size_t)index * (size_t)h->padded;
    for (int r = 0; r < h->padded; r++) {
        h->part.most[at + (size_t)r] = -INFINITY;
        h->part.at_target[at + (size_t)r] = 0.0f;
        h->part.sum[at + (size_t)r] = 0.0;
        h->part.best[at + (size_t)r] = 0;
    }
    const int begin = (int)((int64_t)tiles * index / h->sections),
              end = (int)((int64_t)tiles * (index + 1) / h->sections);
    for (int t = begin; t < end; t++) {
        const int v0 = t * GT_HEAD_TILE, count = gt_min_int(GT_HEAD_TILE, vocab - v0);
        const void *e = gt_head_tile(&h->plan, v0, count, s);
        for (int r = 0; r < h->padded; r += GT_HEAD_GROUP)
            GT_TRY(group(h, e, v0, count, r, gt_min_int(GT_HEAD_GROUP, h->padded - r), at + (size_t)r, t == begin, s));
    }
    return GT_OK;
}

static void run_section(void *context, int task, int worker)
{
    head *h = context;
    const gt_head_scratch s = gt_head_scratch_of(h->x, worker, h->plan.hidden);
    gt_task_note(&h->error, section(h, task, &s));
}

/* Row r of the pass: the sections added in order. */
static void finish_row(void *context, int r, int worker)
{
    const head *h = context;
    const gt_head_loss *out = h->h;
    const size_t width = (size_t)h->plan.hidden, row = (size_t)(h->row0 + r);
    const int target = out->target[row];
    float most = -INFINITY, at_target = 0.0f;
    int32_t best = 0;
    double sum = 0.0;
    const int tiles = (h->plan.embed->rows + GT_HEAD_TILE - 1) / GT_HEAD_TILE;
    for (int s = 0; s < h->sections; s++) {
        const size_t at = (size_t)s * (size_t)h->padded + (size_t)r;
        if (h->part.most[at] > most) {
            most = h->part.most[at];
            best = h->part.best[at];
        }
        const int64_t first = (int64_t)tiles * s / h->sections * GT_HEAD_TILE;
        if (target >= first) at_target = h->part.at_target[at]; /* the last section that begins at or below it */
    }
    for (int s = 0; s < h->sections; s++) {
        const size_t at = (size_t)s * (size_t)h->padded + (size_t)r;
        sum += h->part.sum[at] * exp((double)h->part.most[at] - (double)most);
    }
    out->loss[row] = (double)most + log(sum) - (double)at_target;
    if (out->argmax) out->argmax[row] = best;
    if (!out->dxf) return;
    float *dxf = out->dxf + row * width;
    memset(dxf, 0, width * sizeof *dxf);
    for (int s = 0; s < h->sections; s++) {
        const size_t at = (size_t)s * (size_t)h->padded + (size_t)r;
        const float factor = (float)(exp((double)h->part.most[at] - (double)most) / sum);
        const float *v = h->part.vector + at * width;
        for (size_t j = 0; j < width; j++) dxf[j] += factor * v[j];
    }
    const gt_head_scratch scratch = gt_head_scratch_of(h->x, worker, h->plan.hidden);
    const void *e = gt_head_tile(&h->plan, target, 1, &scratch);
    for (size_t j = 0; j < width; j++)
        dxf[j] -= h->plan.operand == GT_BF16 ? gt_bf16_to_f32(((const uint16_t *)e)[j]) : ((const float *)e)[j];
}

static gt_status head_loss(gt_exec *x, const gt_head_loss *l, gt_dtype act)
{
    head h = {.x = x, .h = l, .error = GT_TASK_ERROR_INIT};
    const int vocab = l->embed->rows;
    GT_TRY(gt_head_plan_make(&h.plan, x, l->embed, l->rows, l->hidden, l->target, act, l->buffer_bytes,
                             gt_head_buffer_bytes_cpu(l->rows, l->hidden, vocab)));
    h.sections = sections_for(vocab);
    const size_t width = (size_t)l->hidden, bytes = gt_head_operand_bytes(&h.plan), act_bytes = act == GT_BF16 ? 2 : 4;
    for (h.row0 = 0; h.row0 < l->rows; h.row0 += h.rows) {
        h.rows = gt_min_int(pass_rows(l->hidden), l->rows - h.row0);
        h.padded = padded_rows(h.rows);
        gt_cursor c = gt_cursor_over(l->buffer);
        h.part = carve(&c, l->rows, l->hidden, vocab);
        gt_head_operands(&h.plan, h.part.x, (const char *)l->xf + (size_t)h.row0 * width * act_bytes,
                         (size_t)h.rows * width);
        memset((char *)h.part.x + (size_t)h.rows * width * bytes, 0, (size_t)(h.padded - h.rows) * width * bytes);
        gt_pool_run(x->pool, h.sections, run_section, &h);
        GT_TRY(gt_task_result(&h.error));
        gt_pool_run(x->pool, h.rows, finish_row, &h);
    }
    return GT_OK;
}

gt_status gt_head_loss_cpu_f32(gt_exec *x, const gt_head_loss *h)
{
    return head_loss(x, h, GT_F32);
}
gt_status gt_head_loss_cpu_bf16(gt_exec *x, const gt_head_loss *h)
{
    return head_loss(x, h, GT_BF16);
}
