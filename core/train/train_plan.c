/* train_plan.c - what the recipe comes to on this base and these rows: which projections get an adapter, and how the
 * rows become optimizer steps. One micro-batch is the same rows on any number of ranks; only accumulation_scope
 * "per_rank" makes a step larger with more of them. */
#include "train_run.h"

#include "log.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>

static gt_status cut_rows(gt_train_run *run)
{
    const gt_recipe *r = run->recipe;
    gt_train_plan *p = &run->plan;
    p->micros_per_step =
        r->gradient_accumulation_steps * (r->accumulation_scope == GT_SCOPE_PER_RANK ? run->comm->size : 1);
    if (p->micros_per_step > 1 << 24)
        return GT_FAIL(GT_ERR_CONFIG, "gradient_accumulation_steps over all ranks is %lld; at most 16777216",
                       (long long)p->micros_per_step);
    GT_TRY(gt_loader_create(&p->loader, &run->inputs.train,
                            &(gt_loader_options){.rows_per_micro = (int)r->per_device_train_batch_size,
                                                 .micros_per_window = (int)p->micros_per_step,
                                                 .shuffle = r->shuffle,
                                                 .seed = (uint64_t)r->data_seed,
                                                 .pack_length = r->packing ? (int)r->max_length : 0}));
    gt_loader_id(p->loader, p->loader_id);
    const int64_t an_epoch = gt_loader_micros(p->loader);
    p->max_micros = (int)(p->micros_per_step < an_epoch ? p->micros_per_step : an_epoch);
    return GT_OK;
}

static void count_steps(gt_train_run *run)
{
    const gt_recipe *r = run->recipe;
    gt_train_plan *p = &run->plan;
    p->windows_per_epoch = gt_loader_windows(p->loader);
    const double by_epochs = ceil(r->num_train_epochs * (double)p->windows_per_epoch);
    p->total_steps = r->max_steps > 0 ? r->max_steps : (int64_t)fmax(1.0, by_epochs);
    gt_schedule_of_recipe(&p->schedule, r, (long)p->total_steps);
}

/* Names that match nothing and patterns that nothing obeys are told: they are often misspelled. */
static void say_targets(const gt_train_plan *p)
{
    gt_text text = {0};
    size_t missed = 0;
    gt_lora_targets_describe(&text, p->targets, &p->adapter, &missed);
    if (missed)
        gt_log(GT_WARN, "train", "lora_target_modules: %s. %zu name%s NOTHING in this model; valid names: %s",
               text.data ? text.data : "", missed, missed == 1 ? " matches" : "s match", gt_lora_valid_names());
    else
        gt_log(GT_INFO, "train", "adapters: %s", text.data ? text.data : "");
    gt_text_clear(&text);
    gt_lora_targets_idle(&text, p->targets, &p->adapter);
    if (text.size) gt_log(GT_WARN, "train", "%s", text.data);
    gt_text_free(&text);
}

static gt_status lay_out_adapter(gt_train_run *run)
{
    const gt_recipe *r = run->recipe;
    const gt_weights *base = run->inputs.base;
    gt_train_plan *p = &run->plan;
    gt_lora *lora = &run->engine.lora;
    p->adapter = gt_recipe_lora(r);
    p->targets = calloc(1, sizeof *p->targets);
    if (!p->targets) return GT_FAIL(GT_ERR_NOMEM, "no memory for the adapter's layout");
    GT_TRY(gt_lora_targets_resolve(p->targets, &p->adapter, &base->config, base->prefix));
    say_targets(p);
    gt_lora_layout(lora, &base->config, p->targets->rank, p->targets->scaling);
    lora->dropout = (float)r->lora_dropout;
    lora->dropout_key = gt_rng_key((uint64_t)r->seed, 0xd209);
    return GT_OK;
}

gt_status gt_train_make_plan(gt_train_run *run)
{
    GT_TRY(cut_rows(run));
    count_steps(run);
    return lay_out_adapter(run);
}
