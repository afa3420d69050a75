/* train_adapter.c - the adapter of a run at its two ends: what it starts from, and the PEFT folders it becomes. Fresh
 * adapters depend on the seed alone, so every rank makes its own and all are the same. */
#include "train_run.h"

#include "adapter.h"
#include "fs.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

/* Whether init_adapter is one of the layout that the recipe asks for. */
static gt_status check_layout(const gt_train_run *run, const gt_adapter *a)
{
    const gt_lora_targets *theirs = &a->targets, *ours = run->plan.targets;
    for (int i = 0; i < gt_slot_count(&run->inputs.base->config); i++) {
        if (theirs->rank[i] == ours->rank[i] && (!ours->rank[i] || theirs->scaling[i] == ours->scaling[i])) continue;
        return GT_FAIL(
            GT_ERR_CONFIG,
            "init_adapter %s: layer %d %s has rank %d and scaling %g, the recipe asks for rank %d and scaling %g; set "
            "lora_r, lora_alpha, rank_pattern, alpha_pattern, use_rslora and lora_target_modules as the adapter has "
            "them",
            run->recipe->init_adapter, gt_slot_at(i).layer, gt_proj_name(gt_slot_at(i).proj), theirs->rank[i],
            (double)theirs->scaling[i], ours->rank[i], (double)ours->scaling[i]);
    }
    return GT_OK;
}

static gt_status take_init_adapter(gt_train_run *run)
{
    gt_adapter *a;
    gt_lora *lora = &run->engine.lora;
    GT_TRY(gt_adapter_read(&a, run->recipe->init_adapter, &run->inputs.base->config));
    const gt_status st = check_layout(run, a);
    if (st == GT_OK && !run->options->dry_run) memcpy(lora->param, a->param, lora->count * sizeof *lora->param);
    gt_adapter_free(a);
    return st;
}

gt_status gt_train_start_adapter(gt_train_run *run)
{
    gt_lora *lora = &run->engine.lora;
    gt_model *m = run->engine.model;
    if (run->recipe->init_adapter)
        GT_TRY(take_init_adapter(run));
    else if (!run->options->dry_run)
        gt_lora_init(lora, m->config, (uint64_t)run->recipe->seed, run->plan.adapter.init);
    return run->options->dry_run ? GT_OK : gt_lora_refresh(lora, m->k, &m->x);
}

static gt_status write_adapter(const gt_train_run *run, const char *name)
{
    const gt_weights *base = run->inputs.base;
    char *path = gt_fs_join(run->recipe->output_dir, name);
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "no memory for a path");
    const gt_adapter_source s = {.config = &run->plan.adapter,
                                 .rank = run->plan.targets->rank,
                                 .param = run->engine.lora.param,
                                 .model = &base->config,
                                 .prefix = base->prefix,
                                 .base_model = run->recipe->model_name_or_path};
    gt_status st = gt_adapter_write(path, &s, true);
    if (st == GT_OK) gt_log(GT_INFO, "train", "wrote %s", path);
    free(path);
    return st;
}

gt_status gt_train_write_adapter(gt_train_run *run, const char *name)
{
    return gt_comm_agree(run->comm, run->comm->rank == 0 ? write_adapter(run, name) : GT_OK);
}
