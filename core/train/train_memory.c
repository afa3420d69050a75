#include "train_memory.h"

#include "checked.h"
#include "log.h"

/* Supervised rows that the head works on at once, and tokens that short rows are grouped up to. */
enum { HEAD_ROWS = 64, PASS_TOKENS = 1024 };

/* Tokens computed at once: the longest row always fits; short rows are grouped up to a fixed number, so that grouping,
 * and with it every bit, depends on the rows alone. */
static int pass_tokens(const gt_train_size *s)
{
    const int64_t group = (int64_t)s->micro_rows * s->longest_row;
    return gt_max_int(s->longest_row, group < PASS_TOKENS ? (int)group : PASS_TOKENS);
}

static gt_model_options model_options(const gt_train_size *s, const gt_lora *lora)
{
    return (gt_model_options){.backend = s->backend,
                              .act = s->act,
                              .threads = s->threads,
                              .positions = s->longest_row,
                              .lora_rank = lora->max_rank,
                              .max_tokens = pass_tokens(s)};
}

static gt_status carve(gt_train_engine *e, gt_arena *a, const gt_weights *base, const gt_train_size *s)
{
    const gt_pass_options pass = {.max_tokens = pass_tokens(s),
                                  .max_documents = s->micro_rows + 1,
                                  .head_rows = HEAD_ROWS,
                                  .lora_rank = e->lora.max_rank,
                                  .training = true,
                                  .dropout = e->lora.dropout > 0,
                                  .keep = s->keep};
    const gt_kernels *k;
    GT_TRY(gt_kernels_get(&k, s->backend, s->act));
    gt_lora_carve(&e->lora, a, k->act);
    gt_trainer_carve(&e->trainer, a, e->lora.count, s->max_micros);
    gt_pass_carve(&e->pass, a, base, k, &pass);
    e->owner = gt_arena_push(a, (size_t)s->max_micros, sizeof *e->owner, "train.assignment");
    e->cost = gt_arena_push(a, (size_t)s->max_micros, sizeof *e->cost, "train.assignment");
    e->done = gt_arena_push(a, (size_t)s->max_micros, 1, "train.assignment");
    return gt_arena_status(a);
}

gt_status gt_train_memory_measure(gt_arena *own, gt_arena *rest, gt_train_engine *e, const gt_weights *base,
                                  const gt_train_size *s)
{
    const gt_model_options options = model_options(s, &e->lora);
    gt_arena_measure(own);
    gt_arena_measure(rest);
    GT_TRY(gt_model_plan(own, base, &options));
    return carve(e, rest, base, s);
}

static size_t print_part(const gt_arena *part)
{
    for (int i = 0; i < part->entry_count; i++)
        gt_log(GT_INFO, "train", "  %-28s %10.2f MiB", part->entry[i].name, (double)part->entry[i].bytes / 0x1p20);
    return part->used;
}

void gt_train_memory_print(const gt_arena *own, const gt_arena *rest)
{
    gt_log(GT_INFO, "train", "memory of each rank:");
    size_t total = print_part(own);
    total += print_part(rest);
    gt_log(GT_INFO, "train", "  %-28s %10.2f MiB, and one mapped copy of the base a machine", "in all",
           (double)total / 0x1p20);
}

gt_status gt_train_memory_make(gt_train_engine *e, const gt_weights *base, const gt_train_size *s)
{
    const gt_model_options options = model_options(s, &e->lora);
    gt_arena own, rest;
    GT_TRY(gt_train_memory_measure(&own, &rest, e, base, s));
    GT_TRY(gt_model_create(&e->model, base, &options));
    GT_TRY(gt_arena_create(&e->arena, rest.used));
    GT_TRY(carve(e, &e->arena, base, s));
    e->model->lora = &e->lora;
    e->trainer.model = e->model;
    e->trainer.lora = &e->lora;
    e->trainer.pass = &e->pass;
    e->trainer.pass_tokens = options.max_tokens;
    return GT_OK;
}

void gt_train_memory_free(gt_train_engine *e)
{
    gt_model_destroy(e->model);
    gt_arena_free(&e->arena);
}
