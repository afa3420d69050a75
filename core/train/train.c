/* train.c - the life of a run: set up, go on from a checkpoint, train and evaluate by turns, and one of three ends:
 * finished, saved on request, or told to stop. */
#include "train_run.h"

#include "clock.h"
#include "log.h"
#include "signals.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static bool due(const gt_train_run *run, gt_every strategy, double steps)
{
    const int64_t step = run->position.step, total = run->plan.total_steps;
    if (strategy == GT_EVERY_NO) return false;
    if (strategy == GT_EVERY_EPOCH) return step % run->plan.windows_per_epoch == 0 || step == total;
    return step % gt_recipe_every(steps, total) == 0;
}

static bool evaluation_due(const gt_train_run *run)
{
    const gt_train_position *at = &run->position;
    if (run->inputs.eval.count == 0 || at->evaluated == at->step) return false;
    if (at->step == 0) return run->recipe->eval_on_start;
    return at->step == run->plan.total_steps || due(run, run->recipe->eval_strategy, run->recipe->eval_steps);
}

/* The best adapter on disk stays the earlier one when there is no room for this one; at the end that is a fault. */
static gt_status keep_if_best(gt_train_run *run, double metric)
{
    gt_train_position *at = &run->position;
    if (at->best_step >= 0 && !(metric < at->best_metric)) return GT_OK;
    if (at->step > 0) {
        gt_status st = gt_train_write_adapter(run, "best");
        if (st == GT_ERR_IO && at->step < run->plan.total_steps) {
            if (run->comm->rank == 0)
                gt_log(GT_WARN, "train", "could not write the best adapter: %s; training goes on",
                       gt_error_last()->message);
            return GT_OK;
        }
        GT_TRY(st);
    }
    at->best_metric = metric;
    at->best_step = at->step;
    return GT_OK;
}

static gt_status evaluate(gt_train_run *run, bool *leave)
{
    gt_eval_result e;
    GT_TRY(gt_train_evaluate(run, &e));
    if (e.save_asked) { /* the next life begins with this evaluation */
        *leave = true;
        return gt_train_save(run, false);
    }
    const bool by_accuracy = run->recipe->metric_for_best_model == GT_BEST_EVAL_ACCURACY;
    if (by_accuracy && isnan(e.accuracy))
        return GT_FAIL(GT_ERR_CONFIG,
                       "metric_for_best_model is eval_accuracy, but no row of eval_files has a choice to be right in; "
                       "use eval_loss");
    GT_TRY(keep_if_best(run, by_accuracy ? -e.accuracy : e.loss));
    const int64_t step = run->position.step;
    GT_TRY(gt_comm_agree(run->comm, gt_train_log_eval(run->record.log, step, gt_train_epoch(run), e.loss, e.accuracy,
                                                      e.choices, e.seconds)));
    run->position.evaluated = step;
    return GT_OK;
}

/* *leave: SIGUSR1 came to any rank, and all is saved. */
static gt_status train_all(gt_train_run *run, bool *leave)
{
    const gt_recipe *r = run->recipe;
    for (bool stepped = false;; stepped = true) {
        if (evaluation_due(run)) GT_TRY(evaluate(run, leave));
        if (*leave || run->position.step >= run->plan.total_steps) return GT_OK;
        if (stepped && due(run, r->save_strategy, r->save_steps))
            GT_TRY(gt_train_forgive_save(run, gt_train_save(run, false), &run->record.failed_saves));
        GT_TRY(gt_train_window(run, leave));
        if (*leave) return GT_OK;
    }
}

/* mpirun kills all ranks as soon as one has left with a signal's code, and two seconds after its own signal in any
 * case: a rank that has saved stays until the others, who got theirs at the same time, had time to. */
static void linger(const gt_train_run *run, double noticed)
{
    const double until = noticed + 1.5;
    while (run->comm->size > 1 && gt_clock() < until) usleep(20000);
}

/* Told to stop, wherever that met it: the state of the latest step and what this rank finished of the window in work
 * are kept, without a word with the other ranks. */
static gt_status leave_at_once(gt_train_run *run)
{
    const double noticed = gt_clock();
    gt_status saved = gt_train_save_alone(run, run->position.in_window);
    if (saved != GT_OK)
        gt_log(GT_ERROR, "train", "could not save on the way out: %s", gt_error_last()->message);
    else if (run->comm->rank == 0)
        gt_log(GT_INFO, "train", "saved what is finished, step %lld; start again to go on",
               (long long)run->position.step);
    linger(run, noticed);
    GT_TRY(gt_signals_check());
    return gt_comm_failed_elsewhere(run->comm, GT_ERR_INTERRUPTED);
}

static gt_status finish(gt_train_run *run, double seconds)
{
    const gt_train_position *at = &run->position;
    const char *dir = run->recipe->output_dir;
    if (run->recipe->save_strategy != GT_EVERY_NO) GT_TRY(gt_train_save(run, false));
    GT_TRY(gt_train_write_adapter(run, "final"));
    GT_TRY(gt_comm_agree(run->comm,
                         gt_train_log_end(run->record.log, at->step, gt_train_epoch(run), seconds, at->tokens_seen)));
    return gt_comm_agree(run->comm, run->comm->rank == 0 ? gt_run_done_write(dir, at->step) : GT_OK);
}

static gt_status open_log(gt_train_run *run)
{
    const gt_recipe *r = run->recipe;
    const int64_t resumed_step = run->record.resumed ? run->position.step : -1;
    return gt_comm_agree(run->comm, gt_train_log_open(&run->record.log, r->output_dir, run->comm->rank, run->comm->size,
                                                      r->tensorboard, resumed_step, run->plan.total_steps));
}

static gt_status say_finished(const gt_train_run *run)
{
    gt_log(GT_INFO, "train", "%s: finished already (%lld steps)", run->recipe->output_dir,
           (long long)run->position.step);
    return GT_OK;
}

static gt_status train(gt_train_run *run)
{
    GT_TRY(open_log(run));
    const double begin = run->record.last_save = gt_clock();
    gt_log(GT_INFO, "train", "ready %.2f s after the start", gt_process_age());
    bool leave = false;
    gt_status st = train_all(run, &leave);
    if (st == GT_OK && !leave) st = finish(run, gt_clock() - begin);
    if (st == GT_ERR_INTERRUPTED) return leave_at_once(run);
    if (st == GT_OK && leave) gt_log(GT_INFO, "train", "asked to save and leave: start again to go on");
    return st;
}

static gt_status live(gt_train_run *run)
{
    bool finished = false;
    GT_TRY(gt_train_setup(run, &finished));
    if (finished) return say_finished(run);
    GT_TRY(gt_comm_agree(run->comm, gt_train_start_adapter(run)));
    GT_TRY(gt_train_resume(run));
    if (run->options->dry_run) return GT_OK;
    int32_t done = run->record.done_steps >= 0 && run->record.resumed && run->position.step >= run->plan.total_steps;
    GT_TRY(gt_comm_max_i32(run->comm, &done, 1));
    return done ? say_finished(run) : train(run);
}

static void close_all(gt_train_run *run)
{
    gt_train_record *record = &run->record;
    gt_train_log_close(record->log);
    gt_ckpt_close(record->checkpoint);
    gt_train_memory_free(&run->engine);
    gt_loader_destroy(run->plan.loader);
    free(run->plan.targets);
    gt_samples_free(&run->inputs.train);
    gt_samples_free(&run->inputs.eval);
    gt_tokenizer_free(run->inputs.tokenizer);
    gt_weights_close(run->inputs.base);
    gt_run_folder_leave(record->folder);
    free(record->tensor);
    free(record->tensor_names);
    free(record->recipe_json);
    free(record->resumed);
}

gt_status gt_train(const gt_train_options *o, gt_comm *c)
{
    gt_train_run *run = calloc(1, sizeof *run);
    if (!run) return GT_FAIL(GT_ERR_NOMEM, "no memory for a run");
    run->options = o;
    run->recipe = o->recipe;
    run->comm = c;
    run->position.best_step = run->position.evaluated = -1;
    run->record.done_steps = -1;
    gt_status st = live(run);
    close_all(run);
    free(run);
    return st;
}
