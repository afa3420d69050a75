/* attention_bwd_cpu.c - gradients of attention, five products a tile: S = Q K^T and dP = dO V^T again, then dQ += dS K,
 * dK += dS^T Q, dV += P^T dO. A document's query tiles are dealt out to a few sections, which depend on shapes only; a
 * section runs its tiles in order and sums dK and dV in its own float32 partial, and the partials are added in order at
 * the end, so the sums do not depend on threads and one long document still feeds several. delta = sum_j dO_j O_j
 * (equal to sum_k P dP up to the rounding of O) spares keeping whole rows of dP. */
#include "arena.h"
#include "attention_tiles_cpu.h"
#include "checked.h"
#include "cpu_kernels.h"
#include "row_loops.h"
#include "task_error.h"

#include <string.h>

enum {
    SECTIONS = 4, /* at most so many a document and kv head; fewer where there are many of those: */
    TASKS = 32    /* what all of them together need not exceed to feed the threads */
};

typedef struct {
    void *onednn, *q, *d_o, *run, *s, *ds;
    float *dp, *dq, *tail, *lse, *delta;
} backward_scratch;

static backward_scratch carve(gt_cursor *c, int head_dim, size_t operand_bytes)
{
    const size_t d = (size_t)head_dim, rows = GT_ATTN_ROWS, keys = GT_ATTN_RUN;
    backward_scratch s;
    s.onednn = gt_cursor_take(c, 1, GT_ONEDNN_SCRATCH);
    s.q = gt_cursor_take(c, rows * d, operand_bytes);
    s.d_o = gt_cursor_take(c, rows * d, operand_bytes);
    s.run = gt_cursor_take(c, 1, gt_attn_run_bytes(head_dim));
    s.s = gt_cursor_take(c, rows * keys, operand_bytes);
    s.ds = gt_cursor_take(c, rows * keys, operand_bytes);
    s.dp = gt_cursor_take(c, rows * keys, sizeof *s.dp);
    s.dq = gt_cursor_take(c, rows * d, sizeof *s.dq);
    s.tail = gt_cursor_take(c, GT_ATTN_KEYS * d, sizeof *s.tail);
    s.lse = gt_cursor_take(c, rows, sizeof *s.lse);
    s.delta = gt_cursor_take(c, rows, sizeof *s.delta);
    return s;
}

static size_t scratch_bytes(int head_dim, size_t operand_bytes)
{
    gt_cursor c = {0};
    carve(&c, head_dim, operand_bytes);
    return c.used;
}

size_t gt_attention_bwd_scratch_cpu(int head_dim)
{
    return scratch_bytes(head_dim, sizeof(float));
}

static int sections_for(int documents, int kv_heads)
{
    const long long pairs = (long long)documents * kv_heads;
    return gt_min_int(SECTIONS, (int)gt_max_int(1, (int)((TASKS + pairs - 1) / pairs)));
}

size_t gt_attention_bwd_buffer_bytes_cpu(const gt_kernel_dims *dims)
{
    return (size_t)sections_for(1, dims->kv_heads) * (size_t)dims->max_tokens * (size_t)dims->kv_heads *
           (size_t)dims->head_dim * 2 * sizeof(float);
}

typedef struct {
    gt_attn_plan plan;
    gt_exec *x;
    const gt_attn_grad *g;
    gt_task_error error;
} backward;

static int sections(const gt_attn_plan *p, const gt_attn_span *s)
{
    return gt_min_int(sections_for(p->a->span_count, p->a->kv_heads), gt_attn_tiles(p, s));
}

/* Floats of one partial: dK [len, d], then dV [len, d]. */
static size_t partial_floats(const gt_attn_plan *p, const gt_attn_span *s)
{
    return 2 * (size_t)s->q_len * (size_t)p->a->head_dim;
}

/* The partial of a section: spans, kv heads and sections lie in order. */
static float *partial(const backward *b, int span, int kv_head, int section)
{
    const gt_attn_plan *p = &b->plan;
    size_t at = 0;
    for (int s = 0; s < span; s++)
        at += partial_floats(p, &p->a->span[s]) * (size_t)(sections(p, &p->a->span[s]) * p->a->kv_heads);
    const gt_attn_span *s = &p->a->span[span];
    return (float *)b->g->buffer + at + partial_floats(p, s) * (size_t)(kv_head * sections(p, s) + section);
}

/* out (+)= op(A) B over a run's keys: rows past the document's end go to scratch and no further. */
static gt_status accumulate(const gt_attn_plan *p, const gt_attn_tile *t, const gt_attn_run *run, const void *a,
                            const void *b, float *out, bool first, backward_scratch *s)
{
    const int d = p->a->head_dim;
    if (run->count == run->keys)
        return gt_attn_product(p, run->keys, d, t->padded, a, true, b, d, false, out, GT_F32, first ? 0.0f : 1.0f,
                               s->onednn);
    GT_TRY(gt_attn_product(p, run->keys, d, t->padded, a, true, b, d, false, s->tail, GT_F32, 0.0f, s->onednn));
    const size_t n = (size_t)run->count * (size_t)d;
    if (first)
        memcpy(out, s->tail, n * sizeof *out);
    else
        gt_rows_current()->add(out, s->tail, n);
    return GT_OK;
}

/* One run of keys under one tile. dk, dv: the section's partial; first: nothing has been added there yet. */
static gt_status run_keys(const gt_attn_plan *p, const gt_attn_tile *t, const gt_attn_run *run, float *dk, float *dv,
                          bool first, backward_scratch *s)
{
    const int d = p->a->head_dim;
    ptrdiff_t ld;
    const void *values = gt_attn_run_values(p, t, run, s->run, &ld);
    GT_TRY(
        gt_attn_product(p, t->padded, run->keys, d, s->d_o, false, values, ld, true, s->dp, GT_F32, 0.0f, s->onednn));
    const void *keys = gt_attn_run_keys(p, t, run, s->run, &ld);
    GT_TRY(gt_attn_product(p, t->padded, run->keys, d, s->q, false, keys, ld, true, s->s, p->operand, 0.0f, s->onednn));
    const gt_score_block block = gt_attn_block(p, t, run, s->s);
    p->rows->gradient(&block, s->ds, s->dp, s->lse, s->delta);
    GT_TRY(gt_attn_product(p, t->padded, d, run->keys, s->ds, false, keys, ld, false, s->dq, GT_F32,
                           run->begin > t->key_begin ? 1.0f : 0.0f, s->onednn));
    const size_t at = (size_t)run->begin * (size_t)d;
    GT_TRY(accumulate(p, t, run, s->ds, s->q, dk + at, first, s));
    return accumulate(p, t, run, s->s, s->d_o, dv + at, first, s);
}

/* lse and delta of the tile's rows. */
static void row_terms(const gt_attn_plan *p, const gt_attn_grad *g, const gt_attn_tile *t, backward_scratch *s)
{
    const size_t d = (size_t)p->a->head_dim;
    for (int r = 0; r < t->padded; r++) {
        s->lse[r] = s->delta[r] = 0.0f;
        if (r >= t->rows) continue;
        const size_t row = (size_t)(t->span->q_begin + t->q0 + r / p->group) * (size_t)p->a->heads +
                           (size_t)(t->kv_head * p->group + r % p->group);
        const size_t at = row * d * p->act_bytes;
        s->delta[r] = p->rows->dot((const char *)g->d_o + at, (const char *)p->a->o + at, p->act == GT_F32, (int)d);
        s->lse[r] = p->a->lse[row];
    }
}

static gt_status tile(const backward *b, const gt_attn_tile *t, float *dk, float *dv, int *done, backward_scratch *s)
{
    const gt_attn_plan *p = &b->plan;
    const gt_attn *a = p->a;
    const size_t d = (size_t)a->head_dim;
    if (t->key_begin >= t->key_end) {
        memset(s->dq, 0, (size_t)t->padded * d * sizeof *s->dq);
    } else {
        gt_attn_gather(s->q, p, t, a->q, a->q_stride);
        gt_attn_gather(s->d_o, p, t, b->g->d_o, (ptrdiff_t)a->heads * a->head_dim);
        row_terms(p, b->g, t, s);
        for (int k = *done; k < t->key_begin; k++) { /* keys no tile of this section sees */
            memset(dk + (size_t)k * d, 0, d * sizeof *dk);
            memset(dv + (size_t)k * d, 0, d * sizeof *dv);
        }
        *done = gt_max_int(*done, t->key_begin);
        for (int k = t->key_begin; k < t->key_end;) {
            const gt_attn_run run = gt_attn_run_at(t, k, k < *done ? *done - k : GT_ATTN_RUN);
            GT_TRY(run_keys(p, t, &run, dk, dv, k >= *done, s));
            k += run.keys;
            *done = gt_max_int(*done, k);
        }
    }
    gt_attn_scatter(b->g->dq, a->q_stride, p, t, s->dq);
    return GT_OK;
}

static gt_status section(const backward *b, int span, int kv_head, int part, backward_scratch *s)
{
    const gt_attn_plan *p = &b->plan;
    const gt_attn_span *sp = &p->a->span[span];
    const size_t d = (size_t)p->a->head_dim;
    float *dk = partial(b, span, kv_head, part), *dv = dk + (size_t)sp->q_len * d;
    const int tiles = gt_attn_tiles(p, sp), step = sections(p, sp);
    int done = 0; /* keys below it hold sums; a multiple of 64 */
    for (int i = part; i < tiles; i += step) {
        gt_attn_tile t;
        gt_attn_tile_make(&t, p, sp, kv_head, i);
        GT_TRY(tile(b, &t, dk, dv, &done, s));
    }
    for (int k = done; k < sp->q_len; k++) {
        memset(dk + (size_t)k * d, 0, d * sizeof *dk);
        memset(dv + (size_t)k * d, 0, d * sizeof *dv);
    }
    return GT_OK;
}

static void run_section(void *context, int task, int worker)
{
    backward *b = context;
    int span, head, part;
    gt_attn_locate(&b->plan, sections, task, &span, &head, &part);
    gt_cursor c = gt_cursor_over(gt_exec_scratch(b->x, worker));
    backward_scratch scratch = carve(&c, b->plan.a->head_dim, b->plan.operand_bytes);
    gt_task_note(&b->error, section(b, span, head, part, &scratch));
}

static int row_blocks(const gt_attn_plan *p, const gt_attn_span *s)
{
    (void)p;
    return (s->q_len + GT_ATTN_KEYS - 1) / GT_ATTN_KEYS;
}

/* Adds the partials of a block of rows of one kv head into the first, in the order of the sections, and rounds. */
static void reduce_rows(void *context, int task, int worker)
{
    (void)worker;
    const backward *b = context;
    const gt_attn_plan *p = &b->plan;
    const gt_rows *rows = gt_rows_current();
    int span, head, block;
    gt_attn_locate(p, row_blocks, task, &span, &head, &block);
    const gt_attn_span *s = &p->a->span[span];
    const size_t d = (size_t)p->a->head_dim, next = partial_floats(p, s);
    const int parts = sections(p, s), first = block * GT_ATTN_KEYS, last = gt_min_int(s->q_len, first + GT_ATTN_KEYS);
    for (int which = 0; which < 2; which++) {
        float *sums = partial(b, span, head, 0) + ((size_t)which * (size_t)s->q_len + (size_t)first) * d;
        char *out = which == 0 ? b->g->dk : b->g->dv;
        for (int i = 1; i < parts; i++) rows->add(sums, sums + (size_t)i * next, (size_t)(last - first) * d);
        for (int row = first; row < last; row++, sums += d) {
            const ptrdiff_t to = (s->q_begin + (ptrdiff_t)row) * s->kv.stride + (ptrdiff_t)head * (ptrdiff_t)d;
            rows->cast(out + to * (ptrdiff_t)p->act_bytes, p->act, sums, GT_F32, d);
        }
    }
}

static gt_status check(const gt_attn_plan *p, const gt_attn_grad *g)
{
    size_t need = 0;
    for (int s = 0; s < p->a->span_count; s++) {
        const gt_attn_span *span = &p->a->span[s];
        if (span->kv.page_tokens != 0 || span->kv.len != span->q_len || span->kv.pos != span->q_pos)
            return GT_FAIL(GT_ERR_ARG,
                           "attention's gradient needs each document's keys to be exactly its queries; span %d has %d "
                           "queries at %d and %d keys at %d, %d tokens a page",
                           s, span->q_len, span->q_pos, span->kv.len, span->kv.pos, span->kv.page_tokens);
        need += partial_floats(p, span) * (size_t)(sections(p, span) * p->a->kv_heads) * sizeof(float);
    }
    if (g->buffer_bytes < need)
        return GT_FAIL(GT_ERR_ARG, "%zu bytes of buffer; this gradient needs %zu (attention_bwd_buffer_bytes)",
                       g->buffer_bytes, need);
    if (!p->a->lse) return GT_FAIL(GT_ERR_ARG, "attention's gradient needs the lse of the forward pass");
    return GT_OK;
}

static gt_status attention_bwd(gt_exec *x, const gt_attn_grad *g, gt_dtype act)
{
    backward b = {.x = x, .g = g, .error = GT_TASK_ERROR_INIT};
    const size_t operand_bytes = act == GT_BF16 && gt_onednn_bf16() ? 2 : 4;
    GT_TRY(gt_attn_plan_make(&b.plan, x, &g->fwd, act, scratch_bytes(g->fwd.head_dim, operand_bytes)));
    GT_TRY(check(&b.plan, g));
    int span, head, tasks;
    gt_attn_locate(&b.plan, sections, -1, &span, &head, &tasks);
    gt_pool_run(x->pool, tasks, run_section, &b);
    GT_TRY(gt_task_result(&b.error));
    gt_attn_locate(&b.plan, row_blocks, -1, &span, &head, &tasks);
    gt_pool_run(x->pool, tasks, reduce_rows, &b);
    return GT_OK;
}

gt_status gt_attention_bwd_cpu_f32(gt_exec *x, const gt_attn_grad *g)
{
    return attention_bwd(x, g, GT_F32);
}
gt_status gt_attention_bwd_cpu_bf16(gt_exec *x, const gt_attn_grad *g)
{
    return attention_bwd(x, g, GT_BF16);
}
