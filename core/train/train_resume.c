/* train_resume.c - what an earlier life of the run left in its folder. A run goes on only as the run it was: the same
 * base, rows, tokenizer and recipe, each known by its contents; where it lies and how many ranks work on it may change.
 * The state is loaded at the start, the window in work when it is begun again. */
#include "train_run.h"

#include "json.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

static gt_status same_id(const char *what, const char *then, const char *now, const char *thing)
{
    if (strcmp(then, now) == 0) return GT_OK;
    return GT_FAIL(GT_ERR_CONFIG,
                   "%s is not what this run began with: %.16s... then, %.16s... now; give the %s it began with, or "
                   "another --output-dir",
                   what, then, now, thing);
}

/* Warnings: what differs and may mean another model or other rows. */
static gt_status compare_recipes(const gt_train_run *run, const gt_train_state *s, gt_string_list *warnings)
{
    gt_recipe then;
    GT_TRY(gt_recipe_parse(&then, s->recipe, strlen(s->recipe), "the checkpoint's recipe", NULL, 0));
    const gt_status st = gt_recipe_compare(&then, run->recipe, warnings);
    gt_recipe_free(&then);
    return st;
}

static gt_status check_same_run(const gt_train_run *run, const gt_train_state *s)
{
    const gt_train_inputs *in = &run->inputs;
    gt_string_list warnings = {0};
    const gt_status st = compare_recipes(run, s, &warnings);
    for (int i = 0; i < warnings.count; i++) gt_log(GT_WARN, "train", "%s", warnings.item[i]);
    gt_string_list_free(&warnings);
    GT_TRY(st);
    GT_TRY(same_id("the base model", s->base, in->base_id, "base"));
    GT_TRY(same_id("the training data", s->dataset, in->rows_id, "rows"));
    GT_TRY(same_id("the tokenizer", s->tokenizer, in->tokenizer_id, "tokenizer"));
    if (strcmp(s->numerics, run->record.numerics) != 0)
        gt_log(GT_WARN, "train", "numerics change from '%s' to '%s': the run goes on, but not to the same last bits",
               s->numerics, run->record.numerics);
    return GT_OK;
}

static gt_status read_extra(gt_train_run *run, const char *text)
{
    gt_train_position *at = &run->position;
    gt_json_doc *doc;
    GT_TRY(gt_json_parse(&doc, text, strlen(text), "the checkpoint's extra"));
    const gt_json *updates = gt_json_get(gt_json_root(doc), "updates"),
                  *bad = gt_json_get(gt_json_root(doc), "bad_steps"),
                  *evaluated = gt_json_get(gt_json_root(doc), "evaluated");
    const bool sound = updates && updates->is_integer && updates->integer >= 0 && bad && bad->is_integer &&
                       bad->integer >= 0 && bad->integer < GT_TRAIN_BAD_STEPS &&
                       (!evaluated || (evaluated->is_integer && evaluated->integer <= at->step));
    if (sound) {
        run->engine.trainer.optim.updates = (long)updates->integer;
        at->bad_steps = (int)bad->integer;
        at->evaluated = evaluated ? evaluated->integer : at->step; /* version 0.1.0 saved after it had evaluated */
    }
    gt_json_free(doc);
    return sound ? GT_OK : GT_FAIL(GT_ERR_DATA, "the checkpoint's extra lacks updates and bad_steps");
}

/* Whether the checkpoint of a run with a marker is that of this recipe and as far as the marker says. */
static gt_status check_finished(const gt_train_run *run, const gt_train_state *s, int32_t *finished)
{
    gt_string_list warnings = {0};
    const gt_status st = gt_comm_agree(run->comm, compare_recipes(run, s, &warnings));
    *finished = warnings.count == 0 && s->step == run->record.done_steps;
    gt_string_list_free(&warnings);
    return st;
}

gt_status gt_train_look_if_finished(gt_train_run *run, bool *finished)
{
    int32_t marked = run->record.done_steps >= 0;
    GT_TRY(gt_comm_max_i32(run->comm, &marked, 1));
    if (!marked || run->options->resume != GT_RESUME_AUTO || run->options->dry_run) return GT_OK;
    gt_ckpt *k = NULL;
    GT_TRY(gt_ckpt_open_all(run->comm, &k, run->recipe->output_dir, NULL));
    int32_t is = 1; /* also where no checkpoint was kept (save_strategy "no") */
    const gt_status st = k ? check_finished(run, gt_ckpt_state(k), &is) : GT_OK;
    if (!k)
        gt_log(GT_WARN, "train",
               "no checkpoint tells by which recipe %s was made; to train anew: --resume never --overwrite-output-dir, "
               "or another --output-dir",
               run->recipe->output_dir);
    gt_ckpt_close(k);
    GT_TRY(st);
    GT_TRY(gt_comm_broadcast(run->comm, &is, sizeof is, 0)); /* rank 0 knows the marker */
    *finished = is != 0;
    if (*finished) run->position.step = run->record.done_steps;
    return GT_OK;
}

/* Takes over where the checkpoint is, without its tensors. */
static gt_status take_position(gt_train_run *run, const gt_ckpt *k)
{
    const gt_train_state *s = gt_ckpt_state(k);
    gt_train_position *at = &run->position;
    GT_TRY(check_same_run(run, s));
    if (s->step > run->plan.total_steps)
        return GT_FAIL(GT_ERR_CONFIG, "%s is at step %lld of a run of %lld", gt_ckpt_path(k), (long long)s->step,
                       (long long)run->plan.total_steps);
    run->record.resumed = strdup(gt_ckpt_path(k));
    if (!run->record.resumed) return GT_FAIL(GT_ERR_NOMEM, "no memory for a path");
    at->step = s->step;
    at->rows_seen = s->rows_seen;
    at->tokens_seen = s->tokens_seen;
    at->supervised_seen = s->supervised_seen;
    at->best_metric = s->best_eval_loss;
    at->best_step = s->best_eval_step;
    return read_extra(run, s->extra);
}

gt_status gt_train_resume(gt_train_run *run)
{
    const gt_train_options *o = run->options;
    gt_train_record *record = &run->record;
    gt_train_engine *e = &run->engine;
    if (o->resume == GT_RESUME_NEVER) return GT_OK;
    GT_TRY(gt_ckpt_open_all(run->comm, &record->checkpoint, run->recipe->output_dir,
                            o->resume == GT_RESUME_PATH ? o->resume_path : NULL));
    if (!record->checkpoint) return GT_OK;
    GT_TRY(gt_comm_agree(run->comm, take_position(run, record->checkpoint)));
    if (!o->dry_run) {
        GT_TRY(gt_ckpt_load(run->comm, record->checkpoint, record->tensor, record->tensors));
        GT_TRY(gt_lora_refresh(&e->lora, e->model->k, &e->model->x));
    }
    gt_log(GT_INFO, "train", "%s %s: step %lld of %lld", o->dry_run ? "would go on from" : "resumed", record->resumed,
           (long long)run->position.step, (long long)run->plan.total_steps);
    return GT_OK;
}

gt_status gt_train_load_window(gt_train_run *run)
{
    const int micros = run->engine.trainer.window.micros;
    uint8_t *done = run->engine.done;
    memset(done, 0, (size_t)micros);
    if (!run->record.checkpoint) return GT_OK;
    gt_ckpt_part part = gt_train_part(run);
    const gt_status st = gt_ckpt_load_window(run->comm, run->record.checkpoint, &part, done);
    gt_ckpt_close(run->record.checkpoint);
    run->record.checkpoint = NULL;
    GT_TRY(st);
    int count = 0;
    for (int i = 0; i < micros; i++) count += done[i];
    if (count) gt_log(GT_INFO, "train", "%d of the window's %d micro-batches are done already", count, micros);
    return GT_OK;
}
