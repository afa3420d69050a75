/* attention_cpu.c - forward: a tile's scores against all keys it sees stay in scratch, stored as the eager path rounds
 * them, so the softmax is that of whole rows and nothing is computed twice. Tiles are independent tasks.
 * Floor: 4 d operations a visible (query, head, key) pair at the product rate; masked pairs at the edges of 64-key
 * blocks are computed for nothing (5 % at 1,024 tokens). */
#include "arena.h"
#include "attention_tiles_cpu.h"
#include "checked.h"
#include "cpu_kernels.h"
#include "task_error.h"

#include <math.h>
#include <string.h>

typedef struct {
    void *onednn, *q, *run, *scores;
    float *o, *most, *sum;
} forward_scratch;

static forward_scratch carve(gt_cursor *c, int head_dim, int keys, size_t operand_bytes)
{
    const size_t d = (size_t)head_dim, rows = GT_ATTN_ROWS,
                 seen = (size_t)(keys + 2 * GT_ATTN_KEYS) / GT_ATTN_KEYS * GT_ATTN_KEYS;
    forward_scratch s;
    s.onednn = gt_cursor_take(c, 1, GT_ONEDNN_SCRATCH);
    s.q = gt_cursor_take(c, rows * d, operand_bytes);
    s.run = gt_cursor_take(c, 1, gt_attn_run_bytes(head_dim));
    s.scores = gt_cursor_take(c, rows * seen, operand_bytes);
    s.o = gt_cursor_take(c, rows * d, sizeof *s.o);
    s.most = gt_cursor_take(c, rows, sizeof *s.most);
    s.sum = gt_cursor_take(c, rows, sizeof *s.sum);
    return s;
}

static size_t scratch_bytes(int head_dim, int keys, size_t operand_bytes)
{
    gt_cursor c = {0};
    carve(&c, head_dim, keys, operand_bytes);
    return c.used;
}

size_t gt_attention_scratch_cpu(int tokens, int head_dim)
{
    return scratch_bytes(head_dim, tokens, sizeof(float));
}

typedef struct {
    gt_attn_plan plan;
    gt_exec *x;
    int keys; /* the most a tile can see */
    gt_task_error error;
} forward;

static gt_status scores(const gt_attn_plan *p, const gt_attn_tile *t, forward_scratch *s)
{
    const int d = p->a->head_dim;
    char *at = s->scores;
    for (int k = t->key_begin; k < t->key_end;) {
        const gt_attn_run run = gt_attn_run_at(t, k, GT_ATTN_RUN);
        ptrdiff_t ld;
        const void *keys = gt_attn_run_keys(p, t, &run, s->run, &ld);
        GT_TRY(
            gt_attn_product(p, t->padded, run.keys, d, s->q, false, keys, ld, true, at, p->operand, 0.0f, s->onednn));
        const gt_score_block b = gt_attn_block(p, t, &run, at);
        p->rows->scale_max(&b, s->most);
        at += (size_t)t->padded * (size_t)run.keys * p->operand_bytes;
        k += run.keys;
    }
    return GT_OK;
}

/* Sums, then probabilities and their product with the values. s->sum ends as the rows' sums of exponentials. */
static gt_status outputs(const gt_attn_plan *p, const gt_attn_tile *t, forward_scratch *s)
{
    const int d = p->a->head_dim;
    float factor[GT_ATTN_ROWS];
    for (int pass = 0; pass < 2; pass++) {
        char *at = s->scores;
        for (int k = t->key_begin; k < t->key_end;) {
            const gt_attn_run run = gt_attn_run_at(t, k, GT_ATTN_RUN);
            const gt_score_block b = gt_attn_block(p, t, &run, at);
            if (pass == 0)
                p->rows->exp_sum(&b, s->most, s->sum);
            else {
                p->rows->probability(&b, s->most, factor);
                ptrdiff_t ld;
                const void *values = gt_attn_run_values(p, t, &run, s->run, &ld);
                GT_TRY(gt_attn_product(p, t->padded, d, run.keys, at, false, values, ld, false, s->o, GT_F32,
                                       k > t->key_begin ? 1.0f : 0.0f, s->onednn));
            }
            at += (size_t)t->padded * (size_t)run.keys * p->operand_bytes;
            k += run.keys;
        }
        for (int r = 0; r < t->padded; r++) factor[r] = s->sum[r] > 0.0f ? 1.0f / s->sum[r] : 0.0f;
    }
    return GT_OK;
}

static gt_status tile(const gt_attn_plan *p, const gt_attn_tile *t, forward_scratch *s)
{
    const gt_attn *a = p->a;
    for (int r = 0; r < t->padded; r++) {
        s->most[r] = -INFINITY;
        s->sum[r] = 0.0f;
    }
    if (t->key_begin < t->key_end) {
        gt_attn_gather(s->q, p, t, a->q, a->q_stride);
        GT_TRY(scores(p, t, s));
        GT_TRY(outputs(p, t, s));
    } else
        memset(s->o, 0, (size_t)t->padded * (size_t)a->head_dim * sizeof *s->o);
    gt_attn_scatter(a->o, (ptrdiff_t)a->heads * a->head_dim, p, t, s->o);
    for (int r = 0; r < t->rows && a->lse; r++) {
        const size_t row = (size_t)(t->span->q_begin + t->q0 + r / p->group);
        a->lse[row * (size_t)a->heads + (size_t)(t->kv_head * p->group + r % p->group)] = s->most[r] + logf(s->sum[r]);
    }
    return GT_OK;
}

static void run_tile(void *context, int task, int worker)
{
    forward *f = context;
    int span, head, index;
    gt_attn_locate(&f->plan, gt_attn_tiles, task, &span, &head, &index);
    const gt_attn_span *s = &f->plan.a->span[span];
    gt_attn_tile t;
    gt_attn_tile_make(&t, &f->plan, s, head, gt_attn_tiles(&f->plan, s) - 1 - index); /* the longest first */
    gt_cursor c = gt_cursor_over(gt_exec_scratch(f->x, worker));
    forward_scratch scratch = carve(&c, f->plan.a->head_dim, f->keys, f->plan.operand_bytes);
    gt_task_note(&f->error, tile(&f->plan, &t, &scratch));
}

/* The most keys a tile of this call sees: what the scores take. */
static int most_keys(const gt_attn *a)
{
    int most = 0;
    for (int s = 0; s < a->span_count; s++) most = gt_max_int(most, a->span[s].kv.len);
    if (a->window > 0) {
        const long long reach = (a->bidirectional ? 2LL : 1LL) * a->window + GT_ATTN_ROWS;
        if (reach < most) most = (int)reach;
    }
    return most;
}

static gt_status attention(gt_exec *x, const gt_attn *a, gt_dtype act)
{
    forward f = {.x = x, .keys = most_keys(a), .error = GT_TASK_ERROR_INIT};
    const size_t operand_bytes = act == GT_BF16 && gt_onednn_bf16() ? 2 : 4;
    GT_TRY(gt_attn_plan_make(&f.plan, x, a, act, scratch_bytes(a->head_dim, f.keys, operand_bytes)));
    int span, head, tasks;
    gt_attn_locate(&f.plan, gt_attn_tiles, -1, &span, &head, &tasks);
    gt_pool_run(x->pool, tasks, run_tile, &f);
    return gt_task_result(&f.error);
}

gt_status gt_attention_cpu_f32(gt_exec *x, const gt_attn *a)
{
    return attention(x, a, GT_F32);
}
gt_status gt_attention_cpu_bf16(gt_exec *x, const gt_attn *a)
{
    return attention(x, a, GT_BF16);
}
