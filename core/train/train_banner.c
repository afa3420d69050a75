/* train_banner.c - what the user reads before the first step. What looks like a mistake of the recipe (hardly any
 * steps, ranks without work) is a warning here, while stopping costs nothing. */
#include "train_run.h"

#include "log.h"
#include "pool.h"

enum { FEW_STEPS = 20 };

static void say_model(const gt_train_run *run)
{
    const gt_weights *base = run->inputs.base;
    const gt_lora *lora = &run->engine.lora;
    const int ranks = run->comm->size;
    const int threads = gt_pool_threads_for(run->options->threads);
    gt_log(GT_INFO, "train", "model: %s (%s), %d layers, hidden %d, vocabulary %d", base->path, base->source,
           base->config.num_hidden_layers, base->config.hidden_size, base->config.vocab_size);
    gt_log(GT_INFO, "train", "compute: %s, %d rank%s x %d thread%s", run->record.numerics, ranks, ranks == 1 ? "" : "s",
           threads, threads == 1 ? "" : "s");
    const double all = (double)gt_weights_parameters(base);
    gt_log(GT_INFO, "train", "trainable parameters: %zu in %zu modules (%.4f %% of %.0f)", lora->count, lora->modules,
           100.0 * (double)lora->count / all, all);
}

static void say_steps(const gt_train_run *run)
{
    const gt_recipe *r = run->recipe;
    const gt_train_plan *p = &run->plan;
    const int ranks = run->comm->size;
    gt_log(GT_INFO, "train", "rows per optimizer step: %lld (%lld micro-batches of %lld%s, all ranks together)",
           (long long)(r->per_device_train_batch_size * p->micros_per_step), (long long)p->micros_per_step,
           (long long)r->per_device_train_batch_size, r->packing ? " packed bins" : "");
    gt_log(GT_INFO, "train", "optimizer steps: %lld (%lld an epoch), warm-up %ld", (long long)p->total_steps,
           (long long)p->windows_per_epoch, p->schedule.warmup_steps);
    if (p->total_steps < FEW_STEPS)
        gt_log(
            GT_WARN, "train",
            "only %lld optimizer step%s: the adapter will hardly move; consider a smaller gradient_accumulation_steps "
            "(now %lld) or more epochs",
            (long long)p->total_steps, p->total_steps == 1 ? "" : "s", (long long)r->gradient_accumulation_steps);
    if (p->max_micros < ranks)
        gt_log(GT_WARN, "train", "%d micro-batches a step for %d ranks: %d ranks stay idle", p->max_micros, ranks,
               ranks - p->max_micros);
}

void gt_train_banner(const gt_train_run *run)
{
    say_model(run);
    say_steps(run);
}
