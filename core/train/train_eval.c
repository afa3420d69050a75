/* train_eval.c - the evaluation rows of a run: their loss, and how many multiple-choice rows are answered right. Rows
 * are grouped in the file's order by their size alone, groups are dealt out to the ranks in turn, and what is added up
 * is integers: the same numbers on any number of ranks. */
#include "train_run.h"

#include "choice_score.h"
#include "clock.h"
#include "signals.h"

#include <math.h>

/* Rows of one pass at most, however large per_device_eval_batch_size is. */
enum { ROWS_AT_ONCE = 64 };

/* What is added up over ranks: integers, so that the order does not matter. */
enum { SUM_LOSS, SUM_SUPERVISED, SUM_CHOICES, SUM_RIGHT, SUMS };

static gt_status eval_batch(gt_train_engine *e, const gt_choice_scorer *scorer, const gt_sample *const *sample,
                            const gt_batch *b, int64_t *sum)
{
    gt_loss_sum loss;
    GT_TRY(gt_forward(e->model, &e->pass, b, &(gt_forward_options){0}));
    GT_TRY(gt_forward_loss(e->model, &e->pass, b, false, &loss, NULL, NULL));
    if (!isfinite(loss.loss))
        return GT_FAIL(GT_ERR_DATA, "the loss of eval row %llu is not finite", (unsigned long long)sample[0]->row);
    sum[SUM_LOSS] += llround(loss.loss * GT_LOSS_SCALE);
    sum[SUM_SUPERVISED] += b->targets;
    for (int d = 0; d < b->docs; d++) {
        int choice;
        GT_TRY(gt_choice_score(scorer, &e->pass, b, d, sample[d], &choice));
        sum[SUM_CHOICES] += choice >= 0;
        sum[SUM_RIGHT] += choice >= 0 && choice == sample[d]->answer;
    }
    return GT_OK;
}

static gt_status eval_all(gt_train_run *run, const gt_choice_scorer *scorer, int64_t *sum)
{
    const gt_samples *rows = &run->inputs.eval;
    gt_train_engine *e = &run->engine;
    int group = 0;
    for (size_t first = 0; first < rows->count; group++) {
        const gt_sample *sample[ROWS_AT_ONCE];
        int n = 0, tokens = 0;
        while (n < ROWS_AT_ONCE && n < run->recipe->per_device_eval_batch_size && n < e->pass.max_spans &&
               first + (size_t)n < rows->count) {
            const gt_sample *s = &rows->sample[first + (size_t)n];
            if (n > 0 && s->n > e->trainer.pass_tokens - tokens) break;
            sample[n++] = s;
            tokens += s->n;
        }
        first += (size_t)n;
        if (group % run->comm->size != run->comm->rank) continue;
        GT_TRY(gt_signals_check());
        if (gt_signals_save_asked()) return GT_OK;
        gt_batch b;
        GT_TRY(gt_batch_build(&b, sample, n));
        gt_status st = eval_batch(e, scorer, sample, &b, sum);
        gt_batch_free(&b);
        GT_TRY(st);
    }
    return GT_OK;
}

gt_status gt_train_evaluate(gt_train_run *run, gt_eval_result *out)
{
    const double begin = gt_clock();
    int64_t sum[SUMS] = {0};
    gt_choice_scorer scorer;
    gt_status st = gt_choice_scorer_create(&scorer, run->engine.model, run->inputs.tokenizer);
    if (st == GT_OK) st = eval_all(run, &scorer, sum);
    gt_choice_scorer_destroy(&scorer);
    if (st == GT_ERR_INTERRUPTED) return st;
    bool save_asked = gt_signals_save_asked();
    GT_TRY(gt_comm_agree_and(run->comm, st, &save_asked));
    if (save_asked) {
        *out = (gt_eval_result){.save_asked = true};
        return GT_OK;
    }
    GT_TRY(gt_comm_sum_i64(run->comm, sum, SUMS));
    *out = (gt_eval_result){.loss = (double)sum[SUM_LOSS] / GT_LOSS_SCALE / (double)sum[SUM_SUPERVISED],
                            .choices = sum[SUM_CHOICES],
                            .accuracy = sum[SUM_CHOICES] ? (double)sum[SUM_RIGHT] / (double)sum[SUM_CHOICES] : NAN,
                            .seconds = gt_clock() - begin};
    return GT_OK;
}
