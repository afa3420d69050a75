#include "train_run.h"

#include "base_open.h"
#include "checked.h"
#include "fs.h"
#include "gtq.h"
#include "hash.h"
#include "log.h"
#include "rng.h"
#include "samples.h"
#include "signals.h"
#include "tokenizer_source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gt_dtype act_of(const gt_recipe *r)
{
    return r->compute_dtype == GT_COMPUTE_F32 ? GT_F32 : GT_BF16;
}

static gt_keep keep_of(const gt_recipe *r)
{
    if (r->gradient_checkpointing == GT_CKPT_FULL) return GT_KEEP_INPUTS;
    return r->gradient_checkpointing == GT_CKPT_GATE_UP ? GT_KEEP_NO_MLP : GT_KEEP_ALL;
}

/* Inputs. */

static gt_status load_rows(const gt_train_run *t, gt_samples *out, const gt_string_list *files)
{
    const gt_recipe *r = t->r;
    static const gt_supervise scope[] = {[GT_LOSS_DATASET] = GT_SUPERVISE_DEFAULT,
                                         [GT_LOSS_WHOLE_ROW] = GT_SUPERVISE_ALL,
                                         [GT_LOSS_COMPLETION] = GT_SUPERVISE_COMPLETION};
    return gt_samples_load(out,
                           &(gt_load_options){.path = (const char *const *)files->item,
                                              .paths = files->count,
                                              .max_length = (int)r->max_length,
                                              .supervise = scope[r->completion_only_loss],
                                              .assistant_only = r->assistant_only_loss,
                                              .parse_special = r->parse_special,
                                              .skip_bad_rows = r->bad_rows == GT_BAD_ROWS_SKIP},
                           t->tok);
}

static void say_rows(const char *what, const gt_samples *s)
{
    gt_log(GT_INFO, "train", "%s: %zu rows, %llu tokens, %llu supervised, longest %d", what, s->count,
           (unsigned long long)s->tokens, (unsigned long long)s->supervised, s->longest);
    if (s->rows_truncated) gt_log(GT_WARN, "train", "%s: %zu rows cut to max_length", what, s->rows_truncated);
    if (s->rows_unsupervised)
        gt_log(GT_WARN, "train", "%s: %zu rows left out: no supervised token", what, s->rows_unsupervised);
    if (s->rows_refused) gt_log(GT_WARN, "train", "%s: %zu bad rows skipped", what, s->rows_refused);
}

static gt_status open_base(gt_train_run *t)
{
    const gt_recipe *r = t->r;
    const gt_base_options o = {.dtype = (gt_base_dtype)r->base_dtype,
                               .scales = r->bnb_4bit_use_double_quant ? GT_SCALES_NESTED : GT_SCALES_PLAIN,
                               .threads = t->o->threads};
    return gt_base_open(&t->w, r->model_name_or_path, &o, t->c);
}

/* A packed base says what it is; whether that is true, the ranks find out together. */
static gt_status verify_base(gt_train_run *t)
{
    if (!t->w->packed) return GT_OK;
    gt_pool *pool = NULL;
    gt_status st = gt_pool_create(&pool, t->o->threads > 0 ? t->o->threads : gt_pool_default_threads());
    if (st == GT_OK) st = gt_gtq_verify_part(t->w->packed->file, pool, t->c->rank, t->c->size);
    gt_pool_destroy(pool);
    return gt_comm_agree(t->c, st);
}

/* Reading a whole base to know it takes a while: one rank does. */
static gt_status identify_base(gt_train_run *t)
{
    GT_TRY(gt_comm_agree(t->c, t->c->rank == 0 ? gt_weights_identity(t->w, t->base_id) : GT_OK));
    return gt_comm_broadcast(t->c, t->base_id, sizeof t->base_id, 0);
}

static gt_status open_rows(gt_train_run *t)
{
    const gt_recipe *r = t->r;
    GT_TRY(gt_tokenizer_source_open(&t->tok, r->model_name_or_path));
    if (t->tok) {
        uint8_t digest[32];
        gt_tokenizer_sha256(t->tok, digest);
        gt_hex(t->tokenizer_id, digest);
    }
    GT_TRY(load_rows(t, &t->train, &r->train_files));
    say_rows("train_files", &t->train);
    if (r->eval_files.count > 0) {
        GT_TRY(load_rows(t, &t->dev, &r->eval_files));
        say_rows("eval_files", &t->dev);
    }
    gt_hex(t->dataset_id, t->train.sha256);
    return gt_recipe_json(&t->recipe_json, r);
}

/* Micro-batches of one optimizer step, over all ranks. */
static int64_t micros_per_step(const gt_train_run *t)
{
    const gt_recipe *r = t->r;
    return r->gradient_accumulation_steps * (r->accumulation_scope == GT_SCOPE_PER_RANK ? t->c->size : 1);
}

static gt_status make_loader(gt_train_run *t)
{
    const gt_recipe *r = t->r;
    const int64_t micros = micros_per_step(t);
    if (micros > 1 << 24)
        return GT_FAIL(GT_ERR_CONFIG, "gradient_accumulation_steps over all ranks is %lld; at most 16777216",
                       (long long)micros);
    GT_TRY(gt_loader_create(&t->loader, &t->train,
                            &(gt_loader_options){.rows_per_micro = (int)r->per_device_train_batch_size,
                                                 .micros_per_window = (int)micros,
                                                 .shuffle = r->shuffle,
                                                 .seed = (uint64_t)r->data_seed,
                                                 .pack_length = r->packing ? (int)r->max_length : 0}));
    gt_loader_id(t->loader, t->plan_id);
    t->windows_per_epoch = gt_loader_windows(t->loader);
    const double by_epochs = ceil(r->num_train_epochs * (double)t->windows_per_epoch);
    t->total_steps = r->max_steps > 0 ? r->max_steps : (int64_t)fmax(1.0, by_epochs);
    t->max_micros = (int)(micros < gt_loader_micros(t->loader) ? micros : gt_loader_micros(t->loader));
    gt_schedule_of_recipe(&t->schedule, r, (long)t->total_steps);
    return GT_OK;
}

/* Adapter. */

static gt_status resolve_targets(gt_train_run *t)
{
    const gt_recipe *r = t->r;
    gt_lora_config *l = &t->lora_config;
    *l = gt_recipe_lora(r);
    t->targets = calloc(1, sizeof *t->targets);
    if (!t->targets) return GT_FAIL(GT_ERR_NOMEM, "no memory for the adapter's layout");
    GT_TRY(gt_lora_targets_resolve(t->targets, l, t->m ? t->m->config : &t->w->config, t->w->prefix));
    gt_text text = {0};
    size_t missed = 0;
    gt_lora_targets_describe(&text, t->targets, l, &missed);
    if (missed)
        gt_log(GT_WARN, "train", "lora_target_modules: %s. %zu name%s NOTHING in this model; valid names: %s",
               text.data ? text.data : "", missed, missed == 1 ? " matches" : "s match", gt_lora_valid_names());
    else
        gt_log(GT_INFO, "train", "adapters: %s", text.data ? text.data : "");
    gt_text_clear(&text);
    gt_lora_targets_idle(&text, t->targets, l);
    if (text.size) gt_log(GT_WARN, "train", "%s", text.data);
    gt_text_free(&text);
    gt_lora_layout(&t->lora, &t->w->config, t->targets->rank, t->targets->scaling);
    t->lora.dropout = (float)r->lora_dropout;
    t->lora.dropout_key = gt_rng_key((uint64_t)r->seed, 0xd209);
    return GT_OK;
}

/* Memory: one function for the plan and for the real thing. */

static void carve(gt_train_run *t, gt_arena *a, const gt_kernels *k, int pass_tokens)
{
    const gt_pass_options pass = {.max_tokens = pass_tokens,
                                  .max_documents = gt_loader_longest_micro(t->loader) + 1,
                                  .head_rows = GT_TRAIN_HEAD_ROWS,
                                  .lora_rank = t->lora.max_rank,
                                  .training = true,
                                  .dropout = t->lora.dropout > 0,
                                  .keep = keep_of(t->r)};
    gt_lora_carve(&t->lora, a, k->act);
    gt_trainer_carve(&t->t, a, t->lora.count, t->max_micros);
    gt_pass_carve(&t->pass, a, t->w, k, &pass);
    t->owner = gt_arena_push(a, (size_t)t->max_micros, sizeof *t->owner, "train.assignment");
    t->cost = gt_arena_push(a, (size_t)t->max_micros, sizeof *t->cost, "train.assignment");
    t->skip = gt_arena_push(a, (size_t)t->max_micros, 1, "train.assignment");
}

/* Tokens computed at once: the longest row always fits; short rows are grouped up to a fixed number, so that grouping,
 * and with it every bit, depends on the rows alone. */
static int pass_tokens(const gt_train_run *t)
{
    const int longest = gt_max_int(t->train.longest, t->dev.longest);
    const int64_t group = (int64_t)gt_loader_longest_micro(t->loader) * longest;
    return gt_max_int(longest, group < GT_TRAIN_PASS_TOKENS ? (int)group : GT_TRAIN_PASS_TOKENS);
}

static gt_model_options model_options(const gt_train_run *t, int tokens)
{
    return (gt_model_options){.backend = t->o->backend,
                              .act = act_of(t->r),
                              .threads = t->o->threads,
                              .positions = gt_max_int(t->train.longest, t->dev.longest),
                              .lora_rank = t->lora.max_rank,
                              .max_tokens = tokens};
}

static void print_plan(const gt_arena *const *part, int parts)
{
    size_t total = 0;
    gt_log(GT_INFO, "train", "memory of each rank:");
    for (int i = 0; i < parts; i++) {
        for (int e = 0; e < part[i]->entry_count; e++)
            gt_log(GT_INFO, "train", "  %-28s %10.2f MiB", part[i]->entry[e].name,
                   (double)part[i]->entry[e].bytes / 0x1p20);
        total += part[i]->used;
    }
    gt_log(GT_INFO, "train", "  %-28s %10.2f MiB, and one mapped copy of the base a machine", "in all",
           (double)total / 0x1p20);
}

static gt_status make_memory(gt_train_run *t)
{
    const int tokens = pass_tokens(t);
    const gt_model_options options = model_options(t, tokens);
    const gt_kernels *k;
    GT_TRY(gt_kernels_get(&k, options.backend, options.act));
    gt_arena model_plan, plan;
    gt_arena_measure(&model_plan);
    gt_arena_measure(&plan);
    GT_TRY(gt_model_plan(&model_plan, t->w, &options));
    carve(t, &plan, k, tokens);
    GT_TRY(gt_arena_status(&plan));
    if (t->o->dry_run) {
        print_plan((const gt_arena *const[]){&model_plan, &plan}, 2);
        return GT_OK;
    }
    GT_TRY(gt_model_create(&t->m, t->w, &options));
    GT_TRY(gt_arena_create(&t->arena, plan.used));
    carve(t, &t->arena, k, tokens);
    GT_TRY(gt_arena_status(&t->arena));
    t->m->lora = &t->lora;
    const gt_recipe *r = t->r;
    t->t.m = t->m;
    t->t.lora = &t->lora;
    t->t.pass = &t->pass;
    t->t.pass_tokens = tokens;
    t->t.optim.beta1 = r->adam_beta1;
    t->t.optim.beta2 = r->adam_beta2;
    t->t.optim.eps = r->adam_epsilon;
    t->t.optim.weight_decay = r->weight_decay;
    t->t.optim.max_grad_norm = r->max_grad_norm;
    return GT_OK;
}

/* The checkpoint's view of the parameters. */

static gt_status name_tensors(gt_train_run *t)
{
    enum { NAME = 96 };
    const int n = (int)t->lora.modules * 2;
    t->tensor = calloc((size_t)n, sizeof *t->tensor);
    t->tensor_names = malloc((size_t)n * NAME);
    if (!t->tensor || !t->tensor_names) return GT_FAIL(GT_ERR_NOMEM, "no memory for %d tensor names", n);
    for (int i = 0; i < t->lora.layers * GT_PROJ_COUNT; i++) {
        const gt_slot slot = gt_slot_at(i);
        const gt_lora_slot *s = &t->lora.slot[slot.layer][slot.proj];
        if (s->r == 0) continue;
        int rows, cols;
        gt_proj_shape(&t->w->config, slot.proj, &rows, &cols);
        for (int ab = 0; ab < 2; ab++) {
            char *name = t->tensor_names + (size_t)t->tensors * NAME;
            snprintf(name, NAME, "model.layers.%d.%s.lora_%c.weight", slot.layer, gt_proj_path(slot.proj), "AB"[ab]);
            const size_t at = ab ? s->b : s->a;
            t->tensor[t->tensors++] = (gt_ckpt_tensor){.name = name,
                                                       .dims = 2,
                                                       .shape = {ab ? rows : s->r, ab ? s->r : cols},
                                                       .value = t->lora.param + at,
                                                       .m = t->t.optim.m + at,
                                                       .v = t->t.optim.v + at};
        }
    }
    return GT_OK;
}

/* What the user reads before the first step. */

static void banner(const gt_train_run *t)
{
    const gt_recipe *r = t->r;
    const gt_model_config *c = &t->w->config;
    const int64_t micros = micros_per_step(t);
    const int64_t rows = r->per_device_train_batch_size * micros;
    gt_log(GT_INFO, "train", "model: %s (%s), %d layers, hidden %d, vocabulary %d", t->w->path, t->w->source,
           c->num_hidden_layers, c->hidden_size, c->vocab_size);
    const int threads = t->o->threads > 0 ? t->o->threads : gt_pool_default_threads();
    gt_log(GT_INFO, "train", "compute: %s, %d rank%s x %d thread%s", t->numerics, t->c->size,
           t->c->size == 1 ? "" : "s", threads, threads == 1 ? "" : "s");
    gt_log(GT_INFO, "train", "trainable parameters: %zu in %zu modules (%.4f %% of %.0f)", t->lora.count,
           t->lora.modules, 100.0 * (double)t->lora.count / (double)gt_weights_parameters(t->w),
           (double)gt_weights_parameters(t->w));
    gt_log(GT_INFO, "train", "rows per optimizer step: %lld (%lld micro-batches of %lld%s, all ranks together)",
           (long long)rows, (long long)micros, (long long)r->per_device_train_batch_size,
           r->packing ? " packed bins" : "");
    gt_log(GT_INFO, "train", "optimizer steps: %lld (%lld an epoch), warm-up %ld", (long long)t->total_steps,
           (long long)t->windows_per_epoch, t->schedule.warmup_steps);
    if (t->total_steps < GT_TRAIN_FEW_STEPS)
        gt_log(
            GT_WARN, "train",
            "only %lld optimizer step%s: the adapter will hardly move; consider a smaller gradient_accumulation_steps "
            "(now %lld) or more epochs",
            (long long)t->total_steps, t->total_steps == 1 ? "" : "s", (long long)r->gradient_accumulation_steps);
    if (t->max_micros < t->c->size)
        gt_log(GT_WARN, "train", "%d micro-batches a step for %d ranks: %d ranks stay idle", t->max_micros, t->c->size,
               t->c->size - t->max_micros);
}

static gt_status take_folder(gt_train_run *t)
{
    const char *dir = t->r->output_dir;
    if (t->o->resume == GT_RESUME_NEVER && !t->r->overwrite_output_dir) GT_TRY(gt_train_check_empty(dir));
    if (t->o->dry_run) return gt_train_check_writable(dir);
    GT_TRY(gt_run_folder_take(&t->folder, dir));
    if (t->o->resume == GT_RESUME_NEVER) { /* or a later `auto` would go on from the earlier run */
        GT_TRY(gt_run_done_clear(dir));
        return gt_ckpt_clear(dir);
    }
    GT_TRY(gt_run_done_read(dir, &t->done_steps));
    t->done_already = t->done_steps >= 0;
    return GT_OK;
}

/* The instruction set is part of the numerics: all ranks take the lowest that any of them has. */
static gt_status agree_on_path(gt_train_run *t)
{
    const char *mine, *common;
    const int path = gt_kernels_path(t->o->backend, &mine);
    int32_t lowest = -path;
    GT_TRY(gt_comm_max_i32(t->c, &lowest, 1));
    if (-lowest >= path) return GT_OK;
    gt_kernels_lower(t->o->backend, -lowest);
    gt_kernels_path(t->o->backend, &common);
    gt_log(GT_WARN, "train", "rank %d could use %s; another rank has only %s, so all use that", t->c->rank, mine,
           common);
    return GT_OK;
}

gt_status gt_train_setup(gt_train_run *t)
{
    GT_TRY(agree_on_path(t));
    GT_TRY(gt_comm_agree(t->c, t->c->rank == 0 ? take_folder(t) : GT_OK));
    GT_TRY(gt_train_look_if_finished(t));
    if (t->finished) return GT_OK;
    GT_TRY(open_base(t));
    GT_TRY(verify_base(t));
    GT_TRY(identify_base(t));
    GT_TRY(gt_comm_agree(t->c, open_rows(t)));
    gt_status st = gt_train_check_rows(t);
    if (st == GT_OK) st = make_loader(t);
    if (st == GT_OK) st = resolve_targets(t);
    if (st == GT_OK) st = make_memory(t);
    GT_TRY(gt_comm_agree(t->c, st));
    const gt_kernels *k;
    GT_TRY(gt_kernels_get(&k, t->o->backend, act_of(t->r)));
    snprintf(t->numerics, sizeof t->numerics, "%s %s %s", k->name, k->path,
             act_of(t->r) == GT_BF16 ? "bfloat16" : "float32");
    if (t->c->rank == 0) banner(t);
    if (t->o->dry_run) return GT_OK;
    return gt_comm_agree(t->c, name_tensors(t));
}
