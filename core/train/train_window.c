/* train_window.c - one optimizer step: a window of micro-batches handed out to the ranks, their sums added up, one
 * update, one line of the log. Who computes which micro-batch, and which were done in an earlier life, changes nothing
 * of the sums (trainer.h). Ranks speak with each other only behind their last micro-batch. */
#include "train_run.h"

#include "clock.h"
#include "flops.h"
#include "log.h"
#include "shard.h"
#include "signals.h"

static double micro_flops(const gt_train_run *run, const gt_micro_rows *m)
{
    const gt_train_engine *e = &run->engine;
    gt_flops f = {0};
    for (int i = 0; i < m->samples; i++)
        gt_flops_add(&f, e->model->config, &e->lora, e->pass.keep, m->sample[i]->n, m->sample[i]->supervised);
    return f.total;
}

/* Gives every unfinished micro-batch to a rank; *mine: how many came here. */
static gt_status hand_out(gt_train_run *run, const gt_window_rows *w, int *mine)
{
    gt_train_engine *e = &run->engine;
    for (int i = 0; i < w->micros; i++) e->cost[i] = w->micro[i].tokens;
    GT_TRY(gt_shard_assign(e->owner, e->cost, e->done, (size_t)w->micros, run->comm->size));
    *mine = 0;
    for (int i = 0; i < w->micros; i++) *mine += e->owner[i] == run->comm->rank;
    return GT_OK;
}

/* A window may take hours: save_minutes keeps this rank's part of it now and then. */
static gt_status save_in_time(gt_train_run *run)
{
    gt_train_record *record = &run->record;
    const double minutes = run->recipe->save_minutes;
    if (minutes <= 0 || gt_clock() - record->last_save <= 60 * minutes) return GT_OK;
    GT_TRY(gt_train_forgive_save(run, gt_train_save_alone(run, true), &record->failed_parts));
    record->last_save = gt_clock();
    return GT_OK;
}

/* Computes this rank's micro-batches. *save_asked: SIGUSR1 came; what is finished is in the window. */
static gt_status run_micros(gt_train_run *run, const gt_window_rows *w, uint64_t epoch, bool *save_asked)
{
    const int64_t step = run->position.step, later_steps = run->plan.total_steps - step - 1;
    int mine, done = 0;
    GT_TRY(hand_out(run, w, &mine));
    for (int i = 0; i < w->micros; i++) {
        if (run->engine.owner[i] != run->comm->rank) continue;
        if ((*save_asked = gt_signals_save_asked())) return GT_OK;
        const double begin = gt_clock();
        gt_micro_result r;
        GT_TRY(gt_trainer_micro(&run->engine.trainer, i, w->micro[i].sample, w->micro[i].samples, epoch, &r));
        const double later = (double)later_steps * w->micros / run->comm->size;
        done++;
        gt_train_log_micro(run->record.log, step, done, mine, mine - done + later, r.tokens,
                           micro_flops(run, &w->micro[i]), gt_clock() - begin);
        GT_TRY(save_in_time(run));
    }
    *save_asked = gt_signals_save_asked();
    return GT_OK;
}

static bool line_due(const gt_train_run *run)
{
    const gt_recipe *r = run->recipe;
    const int64_t step = run->position.step, every = gt_recipe_every(r->logging_steps, run->plan.total_steps);
    return (r->logging_strategy == GT_EVERY_STEPS && step % every == 0) ||
           (r->logging_strategy == GT_EVERY_EPOCH && step % run->plan.windows_per_epoch == 0) ||
           (r->logging_first_step && step == 1) || step == run->plan.total_steps;
}

static gt_status log_step(gt_train_run *run, const gt_step_result *r, const gt_window_rows *w, double seconds)
{
    double flops = 0;
    for (int i = 0; i < w->micros; i++) flops += micro_flops(run, &w->micro[i]);
    const gt_train_step_log s = {.step = run->position.step,
                                 .epoch = gt_train_epoch(run),
                                 .loss = r->loss,
                                 .grad_norm = r->grad_norm,
                                 .learning_rate = r->learning_rate,
                                 .accuracy = r->accuracy,
                                 .tokens = (int64_t)r->tokens,
                                 .tokens_seen = run->position.tokens_seen,
                                 .seconds = seconds,
                                 .flops = flops};
    return gt_train_log_step(run->record.log, &s, line_due(run));
}

/* A run whose gradients are never finite would only count steps. */
static gt_status count_skipped(gt_train_position *at, bool skipped)
{
    at->bad_steps = skipped ? at->bad_steps + 1 : 0;
    if (!skipped) return GT_OK;
    gt_log(GT_WARN, "train", "step %lld skipped: loss or gradient was not finite (%d in a row)", (long long)at->step,
           at->bad_steps);
    if (at->bad_steps < GT_TRAIN_BAD_STEPS) return GT_OK;
    return GT_FAIL(GT_ERR_DATA, "%d steps in a row had no finite gradient; lower learning_rate, or look at the rows",
                   at->bad_steps);
}

static gt_status after_update(gt_train_run *run, const gt_step_result *r, const gt_window_rows *w, double seconds)
{
    gt_train_position *at = &run->position;
    at->step++;
    at->in_window = false;
    at->rows_seen += w->rows;
    at->tokens_seen += w->tokens;
    at->supervised_seen += w->supervised;
    GT_TRY(count_skipped(at, r->skipped));
    return gt_comm_agree(run->comm, log_step(run, r, w, seconds));
}

gt_status gt_train_window(gt_train_run *run, bool *leave)
{
    const double begin = gt_clock();
    gt_train_position *at = &run->position;
    gt_trainer *trainer = &run->engine.trainer;
    const int64_t epoch = at->step / run->plan.windows_per_epoch, window = at->step % run->plan.windows_per_epoch;
    gt_window_rows w;
    GT_TRY(gt_loader_window(run->plan.loader, epoch, window, &w));
    GT_TRY(gt_window_begin(trainer, w.micros, (uint64_t)w.supervised));
    GT_TRY(gt_train_load_window(run));
    at->in_window = true;
    bool save_asked = false;
    gt_status st = run_micros(run, &w, (uint64_t)epoch, &save_asked);
    if (st != GT_ERR_INTERRUPTED) st = gt_comm_agree_and(run->comm, st, &save_asked);
    if (st == GT_OK && save_asked) {
        *leave = true;
        return gt_train_save(run, true);
    }
    gt_step_result r;
    if (st == GT_OK)
        st = gt_trainer_update(trainer, run->comm, gt_schedule_lr(&run->plan.schedule, (long)at->step), &r);
    GT_TRY(st); /* of an update that was interrupted nothing is done yet */
    return after_update(run, &r, &w, gt_clock() - begin);
}
