#include "train_run.h"

#include "adapter.h"
#include "clock.h"
#include "fs.h"
#include "log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gt_train_state_fill(gt_train_run *t, gt_train_state *s)
{
    /* a skipped step is a step of the schedule and no update of the moments: their counts may differ */
    snprintf(t->extra, sizeof t->extra, "{\"updates\": %ld, \"bad_steps\": %d, \"evaluated\": %lld}", t->t.optim.t,
             t->bad_steps, (long long)t->evaluated);
    *s = (gt_train_state){.tensor = t->tensor,
                          .tensor_count = t->tensors,
                          .step = t->step,
                          .epoch = t->step / t->windows_per_epoch,
                          .window = t->step % t->windows_per_epoch,
                          .rows_seen = t->rows_seen,
                          .tokens_seen = t->tokens_seen,
                          .supervised_seen = t->supervised_seen,
                          .seed = (uint64_t)t->r->seed,
                          .world_size = t->c->size,
                          .best_eval_loss = t->best_metric,
                          .best_eval_step = t->best_step,
                          .recipe = t->recipe_json,
                          .metrics = "{}",
                          .extra = t->extra,
                          .dataset = t->dataset_id,
                          .base = t->base_id,
                          .tokenizer = t->tokenizer_id,
                          .numerics = t->numerics,
                          .tool = "gemtune " GT_VERSION};
}

/* This rank's window as a checkpoint part: the same memory, seen another way. */
static gt_ckpt_part part_of(gt_train_run *t)
{
    return (gt_ckpt_part){.sum = t->t.window.sum,
                          .n = t->lora.count,
                          .numbers = GT_SUM_COUNT,
                          .names = GT_SUM_NAMES,
                          .shift = t->t.window.shift,
                          .finished = t->t.window.finished,
                          .micro_batches = t->t.window.micros,
                          .plan = t->plan_id};
}

static gt_ckpt_policy policy_of(const gt_train_run *t)
{
    return (gt_ckpt_policy){.out_dir = t->r->output_dir,
                            .keep = (int)t->r->save_total_limit,
                            .resumed = t->resumed,
                            .best_step = t->best_step};
}

gt_status gt_train_save(gt_train_run *t, bool mid_window)
{
    gt_train_state s;
    gt_train_state_fill(t, &s);
    const gt_ckpt_policy p = policy_of(t);
    gt_ckpt_part part;
    char *saved = NULL;
    if (mid_window) part = part_of(t);
    GT_TRY(gt_ckpt_save(t->c, &p, &s, mid_window ? &part : NULL, &saved));
    gt_log(GT_INFO, "train", "saved %s", saved);
    free(saved);
    t->last_save = gt_clock();
    return GT_OK;
}

gt_status gt_train_save_alone(gt_train_run *t, bool mid_window)
{
    gt_train_state s;
    gt_train_state_fill(t, &s);
    gt_ckpt_part part;
    if (mid_window) part = part_of(t);
    GT_TRY(gt_ckpt_save_alone(t->c->rank, t->r->output_dir, &s, mid_window ? &part : NULL));
    t->last_save = gt_clock();
    return GT_OK;
}

/* Resuming. */

static gt_status same_id(const char *what, const char *then, const char *now, const char *remedy)
{
    if (strcmp(then, now) == 0) return GT_OK;
    return GT_FAIL(GT_ERR_CONFIG, "%s is not what this run began with: %.16s... then, %.16s... now; %s", what, then,
                   now, remedy);
}

/* Warnings: what differs and may mean another model or other rows. */
static gt_status compare_recipes(const gt_train_run *t, const gt_train_state *s, gt_string_list *warnings)
{
    gt_recipe then;
    GT_TRY(gt_recipe_parse(&then, s->recipe, strlen(s->recipe), "the checkpoint's recipe", NULL, 0));
    const gt_status st = gt_recipe_compare(&then, t->r, warnings);
    gt_recipe_free(&then);
    return st;
}

static gt_status check_same_run(gt_train_run *t, const gt_train_state *s)
{
    gt_string_list warnings = {0};
    const gt_status st = compare_recipes(t, s, &warnings);
    for (int i = 0; i < warnings.count; i++) gt_log(GT_WARN, "train", "%s", warnings.item[i]);
    gt_string_list_free(&warnings);
    GT_TRY(st);
    GT_TRY(same_id("the base model", s->base, t->base_id, "give the base it began with, or another --output-dir"));
    GT_TRY(same_id("the training data", s->dataset, t->dataset_id,
                   "give the rows it began with, or another --output-dir"));
    GT_TRY(same_id("the tokenizer", s->tokenizer, t->tokenizer_id,
                   "give the tokenizer it began with, or another --output-dir"));
    if (strcmp(s->numerics, t->numerics) != 0)
        gt_log(GT_WARN, "train", "numerics change from '%s' to '%s': the run goes on, but not to the same last bits",
               s->numerics, t->numerics);
    return GT_OK;
}

static gt_status read_extra(gt_train_run *t, const char *text)
{
    gt_json_doc *doc;
    GT_TRY(gt_json_parse(&doc, text, strlen(text), "the checkpoint's extra"));
    const gt_json *updates = gt_json_get(gt_json_root(doc), "updates"),
                  *bad = gt_json_get(gt_json_root(doc), "bad_steps"),
                  *evaluated = gt_json_get(gt_json_root(doc), "evaluated");
    const bool sound = updates && updates->is_integer && updates->integer >= 0 && bad && bad->is_integer &&
                       bad->integer >= 0 && bad->integer < GT_TRAIN_BAD_STEPS &&
                       (!evaluated || (evaluated->is_integer && evaluated->integer <= t->step));
    if (sound) {
        t->t.optim.t = (long)updates->integer;
        t->bad_steps = (int)bad->integer;
        t->evaluated = evaluated ? evaluated->integer : t->step; /* version 0.1.0 saved after it had evaluated */
    }
    gt_json_free(doc);
    return sound ? GT_OK : GT_FAIL(GT_ERR_DATA, "the checkpoint's extra lacks updates and bad_steps");
}

gt_status gt_train_look_if_finished(gt_train_run *t)
{
    int32_t marked = t->done_already;
    GT_TRY(gt_comm_max_i32(t->c, &marked, 1));
    if (!marked || t->o->resume != GT_RESUME_AUTO || t->o->dry_run) return GT_OK;
    gt_ckpt *k = NULL;
    GT_TRY(gt_ckpt_open_all(t->c, &k, t->r->output_dir, NULL));
    int32_t finished = 1; /* also where no checkpoint was kept (save_strategy "no") */
    if (!k)
        gt_log(GT_WARN, "train",
               "no checkpoint tells by which recipe %s was made; to train anew: --resume never --overwrite-output-dir, "
               "or another --output-dir",
               t->r->output_dir);
    else {
        gt_string_list warnings = {0};
        const gt_status st = gt_comm_agree(t->c, compare_recipes(t, gt_ckpt_state(k), &warnings));
        finished = warnings.count == 0 && gt_ckpt_state(k)->step == t->done_steps;
        gt_string_list_free(&warnings);
        gt_ckpt_close(k);
        GT_TRY(st);
    }
    GT_TRY(gt_comm_broadcast(t->c, &finished, sizeof finished, 0)); /* rank 0 knows the marker */
    t->finished = finished != 0;
    if (t->finished) t->step = t->done_steps;
    return GT_OK;
}

gt_status gt_train_resume(gt_train_run *t)
{
    t->best_step = t->evaluated = -1;
    if (t->o->resume == GT_RESUME_NEVER) return GT_OK;
    gt_ckpt *k = NULL;
    const bool folder = t->o->resume == GT_RESUME_PATH && t->o->resume_path;
    GT_TRY(gt_ckpt_open_all(t->c, &k, t->r->output_dir, folder ? t->o->resume_path : NULL));
    if (!k) return GT_OK;
    const gt_train_state *s = gt_ckpt_state(k);
    gt_status st = check_same_run(t, s);
    if (st == GT_OK && s->step > t->total_steps)
        st = GT_FAIL(GT_ERR_CONFIG, "%s is at step %lld of a run of %lld", gt_ckpt_path(k), (long long)s->step,
                     (long long)t->total_steps);
    if (st == GT_OK && !(t->resumed = strdup(gt_ckpt_path(k)))) st = GT_FAIL(GT_ERR_NOMEM, "no memory for a path");
    if (st == GT_OK) {
        t->step = s->step;
        t->rows_seen = s->rows_seen;
        t->tokens_seen = s->tokens_seen;
        t->supervised_seen = s->supervised_seen;
        t->best_metric = s->best_eval_loss;
        t->best_step = s->best_eval_step;
        st = read_extra(t, s->extra);
    }
    st = gt_comm_agree(t->c, st);
    if (st == GT_OK && t->o->dry_run) {
        gt_log(GT_INFO, "train", "would go on from %s: step %lld of %lld", t->resumed, (long long)t->step,
               (long long)t->total_steps);
        gt_ckpt_close(k);
        return GT_OK;
    }
    if (st == GT_OK) st = gt_ckpt_load(t->c, k, t->tensor, t->tensors);
    if (st == GT_OK) st = gt_lora_refresh(&t->lora, t->m->k, &t->m->x);
    if (st == GT_OK)
        gt_log(GT_INFO, "train", "resumed %s: step %lld of %lld", t->resumed, (long long)t->step,
               (long long)t->total_steps);
    t->checkpoint = k;
    return st;
}

gt_status gt_train_load_window(gt_train_run *t)
{
    const int micros = t->t.window.micros;
    memset(t->skip, 0, (size_t)micros);
    if (!t->checkpoint) return GT_OK;
    gt_ckpt_part part = part_of(t);
    gt_status st = gt_ckpt_load_window(t->c, t->checkpoint, &part, t->skip);
    gt_ckpt_close(t->checkpoint);
    t->checkpoint = NULL;
    GT_TRY(st);
    int done = 0;
    for (int i = 0; i < micros; i++) done += t->skip[i];
    if (done) gt_log(GT_INFO, "train", "%d of the window's %d micro-batches are done already", done, micros);
    return GT_OK;
}

/* Adapters. */

static gt_status write_adapter(gt_train_run *t, const char *name)
{
    char *path = gt_fs_join(t->r->output_dir, name);
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "no memory for a path");
    const gt_adapter_source s = {.config = &t->lora_config,
                                 .rank = t->targets->rank,
                                 .param = t->lora.param,
                                 .model = &t->w->config,
                                 .prefix = t->w->prefix,
                                 .base_model = t->r->model_name_or_path};
    gt_status st = gt_adapter_write(path, &s, true);
    if (st == GT_OK) gt_log(GT_INFO, "train", "wrote %s", path);
    free(path);
    return st;
}

gt_status gt_train_write_adapter(gt_train_run *t, const char *name)
{
    return gt_comm_agree(t->c, t->c->rank == 0 ? write_adapter(t, name) : GT_OK);
}
