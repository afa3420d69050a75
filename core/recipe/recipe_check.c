/* recipe_check.c - what one key says about another: values that follow, and contradictions. Where two keys say the same
 * thing, the command line's outranks the file's; two of one source must agree, and a default never contradicts. */
#include "recipe_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool whole(double v)
{
    return v == floor(v);
}

/* A field that two keys govern: the later source speaks; two voices from one source must agree. */
static gt_status settle_precision(gt_recipe *r, const unsigned char *level)
{
    int given_4bit = level[gt_recipe_index("load_in_4bit")], given_base = level[gt_recipe_index("base_dtype")];
    if (given_4bit > given_base)
        r->base_dtype = r->load_in_4bit ? GT_BASE_NF4 : GT_BASE_NATIVE;
    else if (given_4bit && given_4bit == given_base && r->load_in_4bit != (r->base_dtype == GT_BASE_NF4))
        return GT_FAIL(GT_ERR_CONFIG, "load_in_4bit is %s but base_dtype is %s: give one of them",
                       r->load_in_4bit ? "true" : "false",
                       r->base_dtype == GT_BASE_NF4    ? "\"nf4\""
                       : r->base_dtype == GT_BASE_BF16 ? "\"bf16\""
                                                       : "\"native\"");
    r->load_in_4bit = r->base_dtype == GT_BASE_NF4;

    int given_bf16 = level[gt_recipe_index("bf16")], given_compute = level[gt_recipe_index("compute_dtype")];
    bool wants_bf16 = r->bf16;
    if (given_bf16 > given_compute)
        r->compute_dtype = wants_bf16 ? GT_COMPUTE_BF16 : GT_COMPUTE_F32;
    else if (given_bf16 && given_bf16 == given_compute && wants_bf16 != (r->compute_dtype == GT_COMPUTE_BF16))
        return GT_FAIL(GT_ERR_CONFIG, "bf16 is %s but compute_dtype is %s: give one of them",
                       wants_bf16 ? "true" : "false",
                       r->compute_dtype == GT_COMPUTE_BF16 ? "\"bfloat16\"" : "\"float32\"");
    r->bf16 = r->compute_dtype == GT_COMPUTE_BF16;
    return GT_OK;
}

static gt_status check_interval(const char *key, double value, gt_every strategy, const char *strategy_key)
{
    if (value >= 1 && !whole(value))
        return GT_FAIL(GT_ERR_CONFIG, "%s is %g; allowed: a whole number, or a part of all steps below 1", key, value);
    if (value == 0 && strategy == GT_EVERY_STEPS)
        return GT_FAIL(GT_ERR_CONFIG, "%s is 0 while %s is \"steps\"; allowed: above 0, or %s \"no\"", key,
                       strategy_key, strategy_key);
    return GT_OK;
}

static gt_status settle_events(gt_recipe *r, const unsigned char *level)
{
    bool has_eval = r->eval_files.count > 0;
    bool said = level[gt_recipe_index("eval_strategy")] > 0;
    if (has_eval && !said) r->eval_strategy = GT_EVERY_STEPS;
    if (!has_eval && r->eval_strategy != GT_EVERY_NO)
        return GT_FAIL(GT_ERR_CONFIG, "eval_strategy is \"%s\" but there are no eval_files; give some, or \"no\"",
                       r->eval_strategy == GT_EVERY_STEPS ? "steps" : "epoch");
    if (!has_eval && r->eval_on_start)
        return GT_FAIL(GT_ERR_CONFIG, "eval_on_start is true but there are no eval_files; give some, or false");
    if (r->eval_steps < 0) r->eval_steps = r->logging_steps;
    GT_TRY(check_interval("logging_steps", r->logging_steps, r->logging_strategy, "logging_strategy"));
    GT_TRY(check_interval("eval_steps", r->eval_steps, r->eval_strategy, "eval_strategy"));
    return check_interval("save_steps", r->save_steps, r->save_strategy, "save_strategy");
}

static gt_status foreign_member(const char *member, const char *schedules)
{
    return GT_FAIL(GT_ERR_CONFIG, "lr_scheduler_kwargs has %s, which only lr_scheduler_type %s takes", member,
                   schedules);
}

static gt_status settle_schedule(gt_recipe *r)
{
    const gt_recipe_schedule *s = &r->lr_scheduler_kwargs;
    const gt_lr_schedule type = r->lr_scheduler_type;
    bool cosine = type == GT_LR_COSINE || type == GT_LR_COSINE_WITH_RESTARTS || type == GT_LR_COSINE_WITH_MIN_LR;
    if (!isnan(s->num_cycles) && !cosine)
        return foreign_member("num_cycles", "cosine, cosine_with_restarts or cosine_with_min_lr");
    if (!isnan(s->num_cycles) && type == GT_LR_COSINE_WITH_RESTARTS && (s->num_cycles < 1 || !whole(s->num_cycles)))
        return GT_FAIL(GT_ERR_CONFIG, "lr_scheduler_kwargs num_cycles is %g; allowed: a whole number from 1",
                       s->num_cycles);
    bool min_lr = !isnan(s->min_lr), min_rate = !isnan(s->min_lr_rate);
    if (type != GT_LR_COSINE_WITH_MIN_LR && (min_lr || min_rate))
        return foreign_member(min_lr ? "min_lr" : "min_lr_rate", "cosine_with_min_lr");
    if (type == GT_LR_COSINE_WITH_MIN_LR && min_lr == min_rate)
        return GT_FAIL(GT_ERR_CONFIG,
                       "lr_scheduler_type cosine_with_min_lr needs min_lr or min_lr_rate, one of them, in "
                       "lr_scheduler_kwargs");
    if (min_lr && s->min_lr > r->learning_rate)
        return GT_FAIL(GT_ERR_CONFIG, "lr_scheduler_kwargs min_lr is %g, above learning_rate %g", s->min_lr,
                       r->learning_rate);
    if (type != GT_LR_POLYNOMIAL && !isnan(s->lr_end)) return foreign_member("lr_end", "polynomial");
    if (type != GT_LR_POLYNOMIAL && !isnan(s->power)) return foreign_member("power", "polynomial");
    double lr_end = isnan(s->lr_end) ? 1e-7 : s->lr_end;
    if (type == GT_LR_POLYNOMIAL && !(lr_end < r->learning_rate))
        return GT_FAIL(GT_ERR_CONFIG,
                       "lr_scheduler_type polynomial ends at lr_end %g, which is not below learning_rate %g", lr_end,
                       r->learning_rate);
    if (type != GT_LR_INVERSE_SQRT && !isnan(s->timescale)) return foreign_member("timescale", "inverse_sqrt");
    if (r->warmup_steps >= 1 && !whole(r->warmup_steps))
        return GT_FAIL(GT_ERR_CONFIG, "warmup_steps is %g; allowed: a whole number, or a part of all steps below 1",
                       r->warmup_steps);
    if (r->warmup_steps > 0 && r->warmup_ratio > 0) {
        char text[120];
        snprintf(text, sizeof text, "warmup_ratio: %g has no effect: warmup_steps is %g", r->warmup_ratio,
                 r->warmup_steps);
        GT_TRY(gt_string_list_add(&r->warnings, text));
    }
    return GT_OK;
}

gt_status gt_recipe_settle(gt_recipe *r, const unsigned char *level)
{
    GT_TRY(settle_precision(r, level));
    GT_TRY(settle_events(r, level));
    GT_TRY(settle_schedule(r));
    GT_TRY(gt_recipe_check_modules(r));
    if (r->data_seed < 0) r->data_seed = r->seed;
    if (r->max_steps <= 0) r->max_steps = -1;
    if (r->packing && r->max_length == 0)
        return GT_FAIL(GT_ERR_CONFIG, "packing is true but max_length is null: packing fills sequences of max_length "
                                      "tokens; give one");
    return GT_OK;
}

gt_status gt_recipe_check_train(const gt_recipe *r, const char *where)
{
    if (!r->model_name_or_path)
        return GT_FAIL(GT_ERR_CONFIG,
                       "%s: model_name_or_path is missing: a Hugging Face folder, a .gguf or .gtq file, or "
                       "a hub id in the local cache",
                       where);
    if (r->train_files.count == 0)
        return GT_FAIL(GT_ERR_CONFIG, "%s: train_files is missing: a path or a list of paths of JSONL or CSV rows",
                       where);
    return GT_OK;
}
