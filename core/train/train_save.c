/* train_save.c - a run as a checkpoint. Between windows all ranks save together; a rank that must leave at once, or
 * that keeps its part of a long window (save_minutes), saves alone. A save that failed costs no more than the time
 * since the last one, so training goes on until several failed in a row. */
#include "train_run.h"

#include "clock.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>

enum { TENSOR_NAME = 96 };

/* A or B of one projection, with its moments. */
static void add_tensor(gt_train_run *run, gt_slot slot, bool b)
{
    const gt_train_engine *e = &run->engine;
    const gt_lora_slot *s = &e->lora.slot[slot.layer][slot.proj];
    const size_t first = b ? s->b : s->a;
    gt_train_record *record = &run->record;
    char *name = record->tensor_names + (size_t)record->tensors * TENSOR_NAME;
    int rows, cols;
    gt_proj_shape(&run->inputs.base->config, slot.proj, &rows, &cols);
    snprintf(name, TENSOR_NAME, "model.layers.%d.%s.lora_%c.weight", slot.layer, gt_proj_path(slot.proj), "AB"[b]);
    record->tensor[record->tensors++] = (gt_ckpt_tensor){.name = name,
                                                         .dims = 2,
                                                         .shape = {b ? rows : s->r, b ? s->r : cols},
                                                         .value = e->lora.param + first,
                                                         .m = e->trainer.optim.m + first,
                                                         .v = e->trainer.optim.v + first};
}

gt_status gt_train_name_tensors(gt_train_run *run)
{
    const size_t n = run->engine.lora.modules * 2;
    gt_train_record *record = &run->record;
    record->tensor = calloc(n, sizeof *record->tensor);
    record->tensor_names = malloc(n * TENSOR_NAME);
    if (!record->tensor || !record->tensor_names) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu tensor names", n);
    for (int i = 0; i < gt_slot_count(&run->inputs.base->config); i++) {
        const gt_slot slot = gt_slot_at(i);
        if (run->engine.lora.slot[slot.layer][slot.proj].r == 0) continue;
        add_tensor(run, slot, false);
        add_tensor(run, slot, true);
    }
    return GT_OK;
}

static gt_train_state state_of(gt_train_run *run)
{
    const gt_train_inputs *in = &run->inputs;
    const gt_train_position *at = &run->position;
    gt_train_record *record = &run->record;
    /* a skipped step is a step of the schedule and no update of the moments: their counts may differ */
    snprintf(record->extra, sizeof record->extra, "{\"updates\": %ld, \"bad_steps\": %d, \"evaluated\": %lld}",
             run->engine.trainer.optim.updates, at->bad_steps, (long long)at->evaluated);
    return (gt_train_state){.tensor = record->tensor,
                            .tensor_count = record->tensors,
                            .step = at->step,
                            .epoch = at->step / run->plan.windows_per_epoch,
                            .window = at->step % run->plan.windows_per_epoch,
                            .rows_seen = at->rows_seen,
                            .tokens_seen = at->tokens_seen,
                            .supervised_seen = at->supervised_seen,
                            .seed = (uint64_t)run->recipe->seed,
                            .world_size = run->comm->size,
                            .best_eval_loss = at->best_metric,
                            .best_eval_step = at->best_step,
                            .recipe = record->recipe_json,
                            .metrics = "{}",
                            .extra = record->extra,
                            .dataset = in->rows_id,
                            .base = in->base_id,
                            .tokenizer = in->tokenizer_id,
                            .numerics = record->numerics,
                            .tool = "gemtune " GT_VERSION};
}

gt_ckpt_part gt_train_part(gt_train_run *run)
{
    const gt_window *w = &run->engine.trainer.window;
    return (gt_ckpt_part){.sum = w->sum,
                          .n = run->engine.lora.count,
                          .numbers = GT_SUM_COUNT,
                          .names = GT_SUM_NAMES,
                          .shift = w->shift,
                          .finished = w->finished,
                          .micro_batches = w->micros,
                          .plan = run->plan.loader_id};
}

gt_status gt_train_save(gt_train_run *run, bool mid_window)
{
    const gt_train_state s = state_of(run);
    const gt_ckpt_part part = gt_train_part(run);
    const gt_ckpt_policy policy = {.out_dir = run->recipe->output_dir,
                                   .keep = (int)run->recipe->save_total_limit,
                                   .resumed = run->record.resumed,
                                   .best_step = run->position.best_step};
    char *saved = NULL;
    GT_TRY(gt_ckpt_save(run->comm, &policy, &s, mid_window ? &part : NULL, &saved));
    gt_log(GT_INFO, "train", "saved %s", saved);
    free(saved);
    run->record.last_save = gt_clock();
    return GT_OK;
}

gt_status gt_train_save_alone(gt_train_run *run, bool mid_window)
{
    const gt_train_state s = state_of(run);
    const gt_ckpt_part part = gt_train_part(run);
    GT_TRY(gt_ckpt_save_alone(run->comm->rank, run->recipe->output_dir, &s, mid_window ? &part : NULL));
    run->record.last_save = gt_clock();
    return GT_OK;
}

gt_status gt_train_forgive_save(const gt_train_run *run, gt_status st, int *in_a_row)
{
    if (st == GT_OK) *in_a_row = 0;
    if (st == GT_OK || st == GT_ERR_INTERRUPTED || st == GT_ERR_LOST) return st;
    if (++*in_a_row >= GT_TRAIN_FAILED_SAVES)
        return gt_error_prefix("%d saves in a row failed, the last", GT_TRAIN_FAILED_SAVES);
    if (run->comm->rank == 0 || !gt_error_last()->elsewhere)
        gt_log(GT_WARN, "train", "could not save: %s; training goes on", gt_error_last()->message);
    return GT_OK;
}
