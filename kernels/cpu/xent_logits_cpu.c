/* xent_logits_cpu.c - logits of chosen rows, for generation and scoring. One row is a walk through E at the speed of
 * memory and skips the products' packing; more rows take a tile of E together. Tasks are tiles of the vocabulary. */
#include "checked.h"
#include "cpu_kernels.h"
#include "onednn.h"
#include "task_error.h"
#include "xent_plan_cpu.h"

#include <string.h>

typedef struct {
    gt_head_plan plan;
    gt_exec *x;
    float *logits;
    const char *xf; /* act, or widened in the buffer */
    int rows;
    gt_task_error error;
} job;

enum { FEW = 2 }; /* rows up to which dot products beat packing E for a product */

static gt_status tile(const job *j, int v0, int count, const gt_head_scratch *s)
{
    const gt_head_plan *p = &j->plan;
    const size_t width = (size_t)p->hidden;
    const ptrdiff_t vocab = p->embed->rows;
    const void *e = gt_head_tile(p, v0, count, s);
    int done = 0;
    for (int step; done < j->rows; done += step) {
        const char *x = j->xf + (size_t)done * width * gt_head_operand_bytes(p);
        float *out = j->logits + done * vocab + v0;
        for (step = GT_HEAD_GROUP; step > j->rows - done;) step /= 2; /* powers of two: few shapes */
        if (j->rows <= FEW) {
            p->tiles->row_dot(out, x, e, p->operand, count, p->hidden);
            step = 1;
            continue;
        }
        const gt_onednn_product q = {.m = step,
                                     .n = count,
                                     .k = p->hidden,
                                     .lda = p->hidden,
                                     .ldb = p->hidden,
                                     .ldc = vocab,
                                     .tb = true,
                                     .alpha = 1.0f,
                                     .ab = p->operand,
                                     .c = GT_F32};
        GT_TRY(gt_onednn_run(&q, x, e, out, s->onednn));
    }
    return GT_OK;
}

static void run_tile(void *context, int task, int worker)
{
    job *j = context;
    const gt_head_scratch s = gt_head_scratch_of(j->x, worker, j->plan.hidden);
    const int v0 = task * GT_HEAD_TILE;
    gt_task_note(&j->error, tile(j, v0, gt_min_int(GT_HEAD_TILE, j->plan.embed->rows - v0), &s));
}

static gt_status head_logits(gt_exec *x, float *logits, const void *xf, int rows, int hidden, const gt_matrix *embed,
                             void *buffer, size_t buffer_bytes, gt_dtype act)
{
    job j = {.x = x, .error = GT_TASK_ERROR_INIT};
    const size_t pass = (size_t)gt_min_int(rows, GT_HEAD_GROUP), width = (size_t)hidden;
    GT_TRY(gt_head_plan_make(&j.plan, x, embed, rows, hidden, NULL, act, buffer_bytes, pass * width * sizeof(float)));
    const int tiles = (embed->rows + GT_HEAD_TILE - 1) / GT_HEAD_TILE;
    const bool widen = j.plan.operand != act;
    for (int done = 0; done < rows; done += j.rows) {
        j.rows = widen ? gt_min_int(GT_HEAD_GROUP, rows - done) : rows;
        j.logits = logits + (ptrdiff_t)done * embed->rows;
        j.xf = (const char *)xf + (size_t)done * width * (act == GT_BF16 ? 2 : 4);
        if (widen) {
            gt_head_operands(&j.plan, buffer, j.xf, (size_t)j.rows * width);
            j.xf = buffer;
        }
        gt_pool_run(x->pool, tiles, run_tile, &j);
        GT_TRY(gt_task_result(&j.error));
    }
    return GT_OK;
}

gt_status gt_head_logits_cpu_f32(gt_exec *x, float *logits, const void *xf, int rows, int hidden,
                                 const gt_matrix *embed, void *buffer, size_t buffer_bytes)
{
    return head_logits(x, logits, xf, rows, hidden, embed, buffer, buffer_bytes, GT_F32);
}

gt_status gt_head_logits_cpu_bf16(gt_exec *x, float *logits, const void *xf, int rows, int hidden,
                                  const gt_matrix *embed, void *buffer, size_t buffer_bytes)
{
    return head_logits(x, logits, xf, rows, hidden, embed, buffer, buffer_bytes, GT_BF16);
}
