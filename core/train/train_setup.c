/* train_setup.c - everything before the first step, in the order of what it costs: the output folder, a look whether
 * the run is finished already, then base and rows, then memory. A dry run does the same but takes no folder and carves
 * nothing. */
#include "train_run.h"

#include "checked.h"
#include "log.h"

#include <stdio.h>

static gt_keep keep_of(const gt_recipe *r)
{
    if (r->gradient_checkpointing == GT_CKPT_FULL) return GT_KEEP_INPUTS;
    return r->gradient_checkpointing == GT_CKPT_GATE_UP ? GT_KEEP_NO_MLP : GT_KEEP_ALL;
}

static gt_status take_folder(gt_train_run *run)
{
    const char *dir = run->recipe->output_dir;
    const bool anew = run->options->resume == GT_RESUME_NEVER;
    if (anew && !run->recipe->overwrite_output_dir) GT_TRY(gt_train_check_empty(dir));
    if (run->options->dry_run) return gt_train_check_writable(dir);
    GT_TRY(gt_run_folder_take(&run->record.folder, dir));
    if (!anew) return gt_run_done_read(dir, &run->record.done_steps);
    GT_TRY(gt_run_done_clear(dir)); /* or a later `auto` would go on from the earlier run */
    return gt_ckpt_clear(dir);
}

/* The instruction set is part of the numerics: all ranks take the lowest that any of them has. */
static gt_status agree_on_path(const gt_train_run *run)
{
    const gt_backend backend = run->options->backend;
    const char *mine, *common;
    const int path = gt_kernels_path(backend, &mine);
    int32_t lowest = -path;
    GT_TRY(gt_comm_max_i32(run->comm, &lowest, 1));
    if (-lowest >= path) return GT_OK;
    gt_kernels_lower(backend, -lowest);
    gt_kernels_path(backend, &common);
    gt_log(GT_WARN, "train", "rank %d could use %s; another rank has only %s, so all use that", run->comm->rank, mine,
           common);
    return GT_OK;
}

static gt_train_size size_of(const gt_train_run *run)
{
    return (gt_train_size){.backend = run->options->backend,
                           .act = gt_compute_act(run->recipe->compute_dtype),
                           .threads = run->options->threads,
                           .keep = keep_of(run->recipe),
                           .longest_row = gt_max_int(run->inputs.train.longest, run->inputs.eval.longest),
                           .micro_rows = gt_loader_longest_micro(run->plan.loader),
                           .max_micros = run->plan.max_micros};
}

static gt_status make_memory(gt_train_run *run)
{
    const gt_train_size size = size_of(run);
    if (run->options->dry_run) {
        gt_arena own, rest;
        GT_TRY(gt_train_memory_measure(&own, &rest, &run->engine, run->inputs.base, &size));
        gt_train_memory_print(&own, &rest);
        return GT_OK;
    }
    GT_TRY(gt_train_memory_make(&run->engine, run->inputs.base, &size));
    gt_optim_of_recipe(&run->engine.trainer.optim, run->recipe);
    return GT_OK;
}

static gt_status name_numerics(gt_train_run *run)
{
    const gt_kernels *k;
    const gt_dtype act = gt_compute_act(run->recipe->compute_dtype);
    GT_TRY(gt_kernels_get(&k, run->options->backend, act));
    snprintf(run->record.numerics, sizeof run->record.numerics, "%s %s %s", k->name, k->path,
             act == GT_BF16 ? "bfloat16" : "float32");
    return GT_OK;
}

gt_status gt_train_setup(gt_train_run *run, bool *finished)
{
    GT_TRY(agree_on_path(run));
    GT_TRY(gt_comm_agree(run->comm, run->comm->rank == 0 ? take_folder(run) : GT_OK));
    GT_TRY(gt_train_look_if_finished(run, finished));
    if (*finished) return GT_OK;
    GT_TRY(gt_train_open_inputs(run));
    gt_status st = gt_recipe_json(&run->record.recipe_json, run->recipe);
    if (st == GT_OK) st = gt_train_check_rows(run);
    if (st == GT_OK) st = gt_train_make_plan(run);
    if (st == GT_OK) st = make_memory(run);
    if (st == GT_OK) st = name_numerics(run);
    GT_TRY(gt_comm_agree(run->comm, st));
    if (run->comm->rank == 0) gt_train_banner(run);
    if (run->options->dry_run) return GT_OK;
    return gt_comm_agree(run->comm, gt_train_name_tensors(run));
}
