#include "train_run.h"

#include "adapter.h"
#include "clock.h"
#include "log.h"
#include "shard.h"
#include "signals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Starting adapters. */

static gt_status start_adapter(gt_train_run *t)
{
    const gt_recipe *r = t->r;
    if (!r->init_adapter) {
        if (t->o->dry_run) return GT_OK;
        gt_lora_init(&t->lora, &t->w->config, (uint64_t)r->seed, t->lora_config.init);
        return gt_lora_refresh(&t->lora, t->m->k, &t->m->x);
    }
    gt_adapter *a;
    GT_TRY(gt_adapter_read(&a, r->init_adapter, &t->w->config));
    gt_status st = GT_OK;
    for (int i = 0; i < t->lora.layers * GT_PROJ_COUNT && st == GT_OK; i++) {
        const int have = a->targets.rank[i], want = t->targets->rank[i];
        const float theirs = a->targets.scaling[i], ours = t->targets->scaling[i];
        if (have != want || (want && theirs != ours))
            st = GT_FAIL(
                GT_ERR_CONFIG,
                "init_adapter %s: layer %d %s has rank %d and scaling %g, the recipe asks for rank %d and scaling %g; "
                "set lora_r, lora_alpha, rank_pattern, alpha_pattern, use_rslora and lora_target_modules as the "
                "adapter has them",
                r->init_adapter, gt_slot_at(i).layer, gt_proj_name(gt_slot_at(i).proj), have, (double)theirs, want,
                (double)ours);
    }
    if (st == GT_OK && !t->o->dry_run) memcpy(t->lora.param, a->param, t->lora.count * sizeof *t->lora.param);
    gt_adapter_free(a);
    if (st != GT_OK || t->o->dry_run) return st;
    return gt_lora_refresh(&t->lora, t->m->k, &t->m->x);
}

/* Saving. */

/* A save that failed is tried again at the next occasion; a disk that stays full ends the run. *in_a_row: the count. */
static gt_status forgive_save(const gt_train_run *t, gt_status st, int *in_a_row)
{
    if (st == GT_OK) *in_a_row = 0;
    if (st == GT_OK || st == GT_ERR_INTERRUPTED || st == GT_ERR_LOST) return st;
    if (++*in_a_row >= GT_TRAIN_FAILED_SAVES)
        return gt_error_prefix("%d saves in a row failed, the last", GT_TRAIN_FAILED_SAVES);
    if (t->c->rank == 0 || !gt_error_last()->elsewhere)
        gt_log(GT_WARN, "train", "could not save: %s; training goes on", gt_error_last()->message);
    return GT_OK;
}

/* One window. */

static gt_flops micro_flops(const gt_train_run *t, const gt_micro_rows *m)
{
    gt_flops f = {0};
    for (int i = 0; i < m->samples; i++)
        gt_flops_add(&f, &t->w->config, &t->lora, t->pass.keep, m->sample[i]->n, m->sample[i]->supervised);
    return f;
}

/* Hands the window's unfinished micro-batches out and computes this rank's. *save_asked: SIGUSR1 came; what is finished
 * is in the window. */
static gt_status run_micros(gt_train_run *t, const gt_window_rows *w, uint64_t epoch, bool *save_asked)
{
    for (int i = 0; i < w->micros; i++) t->cost[i] = w->micro[i].tokens;
    GT_TRY(gt_shard_assign(t->owner, t->cost, t->skip, (size_t)w->micros, t->c->size));
    int mine = 0, done = 0;
    for (int i = 0; i < w->micros; i++) mine += t->owner[i] == t->c->rank;
    for (int i = 0; i < w->micros; i++) {
        if (t->owner[i] != t->c->rank) continue;
        if ((*save_asked = gt_signals_save_asked())) return GT_OK;
        const double begin = gt_clock();
        gt_micro_result r;
        GT_TRY(gt_trainer_micro(&t->t, i, w->micro[i].sample, w->micro[i].samples, epoch, &r));
        const double later = (double)(t->total_steps - t->step - 1) * w->micros / t->c->size;
        done++;
        gt_train_log_micro(t->log, t->step, done, mine, mine - done + later, r.tokens,
                           micro_flops(t, &w->micro[i]).total, gt_clock() - begin);
        if (t->r->save_minutes > 0 && gt_clock() - t->last_save > 60 * t->r->save_minutes) {
            GT_TRY(forgive_save(t, gt_train_save_alone(t, true), &t->failed_parts));
            t->last_save = gt_clock();
        }
    }
    *save_asked = gt_signals_save_asked();
    return GT_OK;
}

static gt_status log_step(gt_train_run *t, const gt_step_result *r, const gt_window_rows *w, double seconds)
{
    gt_flops f = {0};
    for (int i = 0; i < w->micros; i++) f.total += micro_flops(t, &w->micro[i]).total;
    const gt_train_step_log s = {.step = t->step,
                                 .epoch = (double)t->step / (double)t->windows_per_epoch,
                                 .loss = r->loss,
                                 .grad_norm = r->grad_norm,
                                 .learning_rate = r->learning_rate,
                                 .accuracy = r->accuracy,
                                 .tokens = (int64_t)r->tokens,
                                 .supervised = (int64_t)r->supervised,
                                 .tokens_seen = t->tokens_seen,
                                 .seconds = seconds,
                                 .flops = f.total,
                                 .skipped = r->skipped};
    const int64_t every = gt_recipe_every(t->r->logging_steps, t->total_steps);
    const bool write = (t->r->logging_strategy == GT_EVERY_STEPS && t->step % every == 0) ||
                       (t->r->logging_strategy == GT_EVERY_EPOCH && t->step % t->windows_per_epoch == 0) ||
                       (t->r->logging_first_step && t->step == 1) || t->step == t->total_steps;
    return gt_train_log_step(t->log, &s, write);
}

static gt_status after_update(gt_train_run *t, const gt_step_result *r, const gt_window_rows *w, double seconds)
{
    t->step++;
    t->in_window = false;
    t->rows_seen += w->rows;
    t->tokens_seen += w->tokens;
    t->supervised_seen += w->supervised;
    if (r->skipped) {
        t->bad_steps++;
        gt_log(GT_WARN, "train", "step %lld skipped: loss or gradient was not finite (%d in a row)", (long long)t->step,
               t->bad_steps);
        if (t->bad_steps >= GT_TRAIN_BAD_STEPS)
            return GT_FAIL(GT_ERR_DATA,
                           "%d steps in a row had no finite gradient; lower learning_rate, or look at the rows",
                           t->bad_steps);
    } else
        t->bad_steps = 0;
    return gt_comm_agree(t->c, log_step(t, r, w, seconds));
}

typedef enum { GO_ON, SAVED_AND_LEAVE } outcome;

static gt_status one_window(gt_train_run *t, outcome *what)
{
    const double begin = gt_clock();
    const int64_t epoch = t->step / t->windows_per_epoch;
    gt_window_rows w;
    GT_TRY(gt_loader_window(t->loader, epoch, t->step % t->windows_per_epoch, &w));
    GT_TRY(gt_window_begin(&t->t, w.micros, (uint64_t)w.supervised));
    GT_TRY(gt_train_load_window(t));
    t->in_window = true;
    bool save_asked = false;
    gt_status st = run_micros(t, &w, (uint64_t)epoch, &save_asked);
    if (st != GT_ERR_INTERRUPTED) st = gt_comm_agree_and(t->c, st, &save_asked);
    if (st == GT_OK && save_asked) {
        GT_TRY(gt_train_save(t, true));
        *what = SAVED_AND_LEAVE;
        return GT_OK;
    }
    gt_step_result r;
    if (st == GT_OK) st = gt_trainer_update(&t->t, t->c, gt_schedule_lr(&t->schedule, (long)t->step), &r);
    GT_TRY(st); /* of an update that was interrupted nothing is done yet */
    return after_update(t, &r, &w, gt_clock() - begin);
}

/* What happens between windows. */

static bool due(const gt_train_run *t, int strategy, double steps)
{
    if (strategy == GT_EVERY_NO) return false;
    if (strategy == GT_EVERY_EPOCH) return t->step % t->windows_per_epoch == 0 || t->step == t->total_steps;
    return t->step % gt_recipe_every(steps, t->total_steps) == 0;
}

static bool evaluation_due(const gt_train_run *t)
{
    if (t->dev.count == 0 || t->evaluated == t->step) return false;
    if (t->step == 0) return t->r->eval_on_start;
    return t->step == t->total_steps || due(t, t->r->eval_strategy, t->r->eval_steps);
}

/* The best adapter on disk stays the earlier one when there is no room for this one; at the end that is a fault. */
static gt_status keep_if_best(gt_train_run *t, double metric)
{
    if (t->best_step >= 0 && !(metric < t->best_metric)) return GT_OK;
    if (t->step > 0) {
        gt_status st = gt_train_write_adapter(t, "best");
        if (st == GT_ERR_IO && t->step < t->total_steps) {
            if (t->c->rank == 0)
                gt_log(GT_WARN, "train", "could not write the best adapter: %s; training goes on",
                       gt_error_last()->message);
            return GT_OK;
        }
        GT_TRY(st);
    }
    t->best_metric = metric;
    t->best_step = t->step;
    return GT_OK;
}

static gt_status evaluate(gt_train_run *t, outcome *what)
{
    gt_eval_result e;
    GT_TRY(gt_train_evaluate(t, &e));
    if (e.save_asked) { /* the next life begins with this evaluation */
        GT_TRY(gt_train_save(t, false));
        *what = SAVED_AND_LEAVE;
        return GT_OK;
    }
    const bool by_accuracy = t->r->metric_for_best_model == GT_BEST_EVAL_ACCURACY;
    if (by_accuracy && isnan(e.accuracy))
        return GT_FAIL(GT_ERR_CONFIG,
                       "metric_for_best_model is eval_accuracy, but no row of eval_files has a choice to be right in; "
                       "use eval_loss");
    GT_TRY(keep_if_best(t, by_accuracy ? -e.accuracy : e.loss));
    const double epoch = (double)t->step / (double)t->windows_per_epoch;
    GT_TRY(gt_comm_agree(t->c, gt_train_log_eval(t->log, t->step, epoch, e.loss, e.accuracy, e.choices, e.seconds)));
    t->evaluated = t->step;
    return GT_OK;
}

static gt_status train_all(gt_train_run *t, outcome *what)
{
    for (bool stepped = false;; stepped = true) {
        if (evaluation_due(t)) GT_TRY(evaluate(t, what));
        if (*what == SAVED_AND_LEAVE || t->step >= t->total_steps) return GT_OK;
        if (stepped && due(t, t->r->save_strategy, t->r->save_steps))
            GT_TRY(forgive_save(t, gt_train_save(t, false), &t->failed_saves));
        GT_TRY(one_window(t, what));
        if (*what == SAVED_AND_LEAVE) return GT_OK;
    }
}

/* mpirun kills all ranks as soon as one has left with a signal's code, and two seconds after its own signal in any
 * case: a rank that has saved stays until the others, who got theirs at the same time, had time to. */
static void linger(const gt_train_run *t, double noticed)
{
    const double until = noticed + 1.5;
    while (t->c->size > 1 && gt_clock() < until) usleep(20000);
}

/* Told to stop, wherever that met it: the state of the latest step and what this rank finished of the window in work
 * are kept, without a word with the other ranks. */
static gt_status leave_at_once(gt_train_run *t)
{
    const double noticed = gt_clock();
    gt_status saved = gt_train_save_alone(t, t->in_window);
    if (saved != GT_OK)
        gt_log(GT_ERROR, "train", "could not save on the way out: %s", gt_error_last()->message);
    else if (t->c->rank == 0)
        gt_log(GT_INFO, "train", "saved what is finished, step %lld; start again to go on", (long long)t->step);
    linger(t, noticed);
    GT_TRY(gt_signals_check());
    return gt_comm_failed_elsewhere(t->c, GT_ERR_INTERRUPTED);
}

static gt_status finish(gt_train_run *t, double seconds)
{
    if (t->r->save_strategy != GT_EVERY_NO) GT_TRY(gt_train_save(t, false));
    GT_TRY(gt_train_write_adapter(t, "final"));
    const double epoch = (double)t->step / (double)t->windows_per_epoch;
    GT_TRY(gt_comm_agree(t->c, gt_train_log_end(t->log, t->step, epoch, seconds, t->tokens_seen)));
    return gt_comm_agree(t->c, t->c->rank == 0 ? gt_run_done_write(t->r->output_dir, t->step) : GT_OK);
}

static gt_status say_finished(const gt_train_run *t)
{
    gt_log(GT_INFO, "train", "%s: finished already (%lld steps)", t->r->output_dir, (long long)t->step);
    return GT_OK;
}

static gt_status run(gt_train_run *t)
{
    GT_TRY(gt_train_setup(t));
    if (t->finished) return say_finished(t);
    GT_TRY(gt_comm_agree(t->c, start_adapter(t)));
    GT_TRY(gt_train_resume(t));
    if (t->o->dry_run) return GT_OK;
    int32_t done = t->done_already && t->resumed && t->step >= t->total_steps;
    GT_TRY(gt_comm_max_i32(t->c, &done, 1));
    if (done) return say_finished(t);
    GT_TRY(gt_comm_agree(t->c, gt_train_log_open(&t->log, t->r->output_dir, t->c->rank, t->c->size, t->r->tensorboard,
                                                 t->resumed ? t->step : -1, t->total_steps)));
    const double begin = t->last_save = gt_clock();
    gt_log(GT_INFO, "train", "ready %.2f s after the start", gt_process_age());
    outcome what = GO_ON;
    gt_status st = train_all(t, &what);
    if (st == GT_OK && what == GO_ON) st = finish(t, gt_clock() - begin);
    if (st == GT_ERR_INTERRUPTED) return leave_at_once(t);
    if (st == GT_OK && what == SAVED_AND_LEAVE)
        gt_log(GT_INFO, "train", "asked to save and leave: start again to go on");
    return st;
}

static void close_all(gt_train_run *t)
{
    gt_train_log_close(t->log);
    gt_ckpt_close(t->checkpoint);
    gt_model_destroy(t->m);
    gt_arena_free(&t->arena);
    gt_loader_destroy(t->loader);
    gt_samples_free(&t->train);
    gt_samples_free(&t->dev);
    gt_tokenizer_free(t->tok);
    gt_weights_close(t->w);
    gt_run_folder_leave(t->folder);
    free(t->targets);
    free(t->tensor);
    free(t->tensor_names);
    free(t->recipe_json);
    free(t->resumed);
}

gt_status gt_train(const gt_train_options *o, gt_comm *c)
{
    gt_train_run *t = calloc(1, sizeof *t);
    if (!t) return GT_FAIL(GT_ERR_NOMEM, "no memory for a run");
    t->o = o;
    t->r = o->recipe;
    t->c = c;
    gt_status st = run(t);
    close_all(t);
    free(t);
    return st;
}
