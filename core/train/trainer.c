#include "trainer.h"

#include "rng.h"

#include <math.h>
#include <string.h>

void gt_trainer_carve(gt_trainer *t, gt_arena *a, size_t parameters, int max_micros)
{
    gt_optim_carve(&t->optim, a, parameters);
    t->grad = gt_arena_push(a, parameters, sizeof *t->grad, "gradient.micro_batch");
    t->window.sum = gt_arena_push(a, parameters + GT_SUM_COUNT, sizeof *t->window.sum, "gradient.window_sum");
    t->total = gt_arena_push(a, parameters + GT_SUM_COUNT, sizeof *t->total, "gradient.rank_sum");
    t->window.finished = gt_arena_push(a, (size_t)max_micros, 1, "gradient.finished");
    t->window.micro_capacity = max_micros;
}

gt_status gt_window_begin(gt_trainer *t, int micros, uint64_t supervised)
{
    gt_window *w = &t->window;
    if (micros < 1 || micros > w->micro_capacity || supervised == 0 || supervised > (uint64_t)1 << 40)
        return GT_FAIL(GT_ERR_ARG, "a window of %d micro-batches (room for %d) and %llu supervised tokens", micros,
                       w->micro_capacity, (unsigned long long)supervised);
    memset(w->sum, 0, (t->lora->count + GT_SUM_COUNT) * sizeof *w->sum);
    memset(w->finished, 0, (size_t)micros);
    w->micros = micros;
    w->supervised = supervised;
    int bits = 0; /* ceil(log2(supervised)) */
    while (((uint64_t)1 << bits) < supervised) bits++;
    w->shift = 43 - bits;
    return GT_OK;
}

/* The samples [first, *end) that fit one pass: at least one. Depends on the rows alone, so the bits do too. */
static int pass_end(const gt_sample *const *sample, int samples, int first, int budget, int max_documents)
{
    int tokens = sample[first]->n, end = first + 1;
    while (end < samples && end - first < max_documents && sample[end]->n <= budget - tokens)
        tokens += sample[end++]->n;
    return end;
}

/* One pass: forward, loss, backward. */
static gt_status run_pass(gt_model *m, gt_pass *p, const gt_batch *b, const gt_forward_options *o, float *grad,
                          gt_micro_result *r)
{
    gt_loss_sum sum;
    GT_TRY(gt_forward(m, p, b, o));
    GT_TRY(gt_forward_loss(m, p, b, true, &sum, NULL, NULL));
    if (b->targets > 0) GT_TRY(gt_backward(m, p, b, grad));
    r->loss += sum.loss;
    r->tokens += b->n;
    r->targets += b->targets;
    r->correct += sum.correct;
    return GT_OK;
}

static gt_status run_samples(gt_model *m, gt_pass *p, int budget, const gt_sample *const *sample, int samples,
                             const gt_forward_options *o, float *grad, gt_micro_result *r)
{
    for (int first = 0; first < samples;) {
        const int end = pass_end(sample, samples, first, budget, p->max_spans);
        gt_batch b;
        GT_TRY(gt_batch_build(&b, sample + first, end - first));
        gt_status st = run_pass(m, p, &b, o, grad, r);
        gt_batch_free(&b);
        GT_TRY(st);
        first = end;
    }
    return GT_OK;
}

gt_status gt_trainer_micro(gt_trainer *t, int number, const gt_sample *const *sample, int samples, uint64_t epoch,
                           gt_micro_result *result)
{
    gt_window *w = &t->window;
    const size_t count = t->lora->count;
    if (number < 0 || number >= w->micros || w->finished[number])
        return GT_FAIL(GT_ERR_ARG, "micro-batch %d of a window of %d: out of range or done already", number, w->micros);
    gt_micro_result r = {0};
    memset(t->grad, 0, count * sizeof *t->grad);
    const gt_forward_options o = {.targets_only = true, .dropout = true, .epoch = epoch};
    GT_TRY(run_samples(t->model, t->pass, t->pass_tokens, sample, samples, &o, t->grad, &r));
    int bad = !isfinite(r.loss);
    GT_TRY(t->model->k->fix_add(&t->model->x, w->sum, t->grad, count, w->shift, &bad));
    int64_t *n = w->sum + count;
    if (!bad) n[GT_SUM_LOSS] += llround(r.loss * GT_LOSS_SCALE);
    n[GT_SUM_SUPERVISED] += r.targets;
    n[GT_SUM_TOKENS] += r.tokens;
    n[GT_SUM_CORRECT] += r.correct;
    n[GT_SUM_BAD] += bad != 0;
    n[GT_SUM_MICROS] += 1;
    w->finished[number] = 1;
    *result = r;
    return GT_OK;
}

gt_status gt_trainer_update(gt_trainer *t, gt_comm *comm, double learning_rate, gt_step_result *result)
{
    const size_t count = t->lora->count;
    const gt_window *w = &t->window;
    const int64_t *n = t->total + count;
    memcpy(t->total, w->sum, (count + GT_SUM_COUNT) * sizeof *t->total);
    GT_TRY(gt_comm_sum_i64(comm, t->total, count + GT_SUM_COUNT));
    if (n[GT_SUM_MICROS] != w->micros || (uint64_t)n[GT_SUM_SUPERVISED] != w->supervised)
        return GT_FAIL(
            GT_ERR_INTERNAL, "a window of %d micro-batches and %llu supervised tokens came back with %lld and %lld",
            w->micros, (unsigned long long)w->supervised, (long long)n[GT_SUM_MICROS], (long long)n[GT_SUM_SUPERVISED]);
    *result = (gt_step_result){.loss = (double)n[GT_SUM_LOSS] / GT_LOSS_SCALE / (double)w->supervised,
                               .accuracy = (double)n[GT_SUM_CORRECT] / (double)w->supervised,
                               .learning_rate = learning_rate,
                               .supervised = w->supervised,
                               .tokens = (uint64_t)n[GT_SUM_TOKENS]};
    GT_TRY(t->model->k->fix_get(&t->model->x, t->grad, t->total, count, ldexp(1.0, -w->shift) / (double)w->supervised));
    GT_TRY(gt_optim_grad_norm(t->lora, t->model->k, &t->model->x, t->grad, &result->grad_norm));
    if (n[GT_SUM_BAD] != 0 || !isfinite(result->grad_norm)) {
        result->skipped = true;
        return GT_OK;
    }
    return gt_optim_step(&t->optim, t->lora, t->model->k, &t->model->x, t->grad, result->grad_norm, learning_rate);
}
