#include "export_source.h"

#include "adapter_config.h"
#include "fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gt_status open_run(gt_export_source *s, const char *path)
{
    if (gt_fs_holds(path, "manifest.json"))
        GT_TRY(gt_ckpt_open(&s->checkpoint, path));
    else
        GT_TRY(gt_ckpt_find(&s->checkpoint, path));
    if (!s->checkpoint)
        return GT_FAIL(GT_ERR_CONFIG, "%s: neither a run with a checkpoint, nor a checkpoint, nor an adapter folder",
                       path);
    const gt_train_state *state = gt_ckpt_state(s->checkpoint);
    GT_TRY(gt_recipe_parse(&s->recipe, state->recipe, strlen(state->recipe), gt_ckpt_path(s->checkpoint), NULL, 0));
    s->from_run = true;
    s->step = (long long)state->step;
    snprintf(s->base_id, sizeof s->base_id, "%s", state->base);
    s->nf4 = s->recipe.base_dtype == GT_BASE_NF4;
    s->bf16 = s->recipe.base_dtype == GT_BASE_BF16;
    s->double_quant = s->recipe.bnb_4bit_use_double_quant;
    s->config = gt_recipe_lora(&s->recipe);
    if (!s->base && s->recipe.model_name_or_path) s->base = strdup(s->recipe.model_name_or_path);
    return GT_OK;
}

/* The base that an adapter's config names: the adapter itself can be read only beside its model. */
static gt_status open_adapter(gt_export_source *s, const char *path)
{
    if (s->base) return GT_OK;
    char *file = gt_fs_join(path, "adapter_config.json"), *text = NULL;
    size_t size = 0;
    gt_lora_config c = {0};
    gt_status st =
        file ? gt_fs_read(&text, &size, file, 16 << 20) : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", path);
    if (st == GT_OK) st = gt_adapter_config_parse(&c, &s->base, text, size, file);
    gt_lora_config_free(&c);
    free(text);
    free(file);
    return st;
}

gt_status gt_export_source_open(gt_export_source *s, const char *path, const char *base)
{
    *s = (gt_export_source){0};
    if (base && !(s->base = strdup(base))) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", base);
    if (!gt_fs_is_dir(path))
        return GT_FAIL(GT_ERR_CONFIG, "%s: expected a run's output_dir, a checkpoint or an adapter folder", path);
    GT_TRY(gt_fs_holds(path, "adapter_config.json") ? open_adapter(s, path) : open_run(s, path));
    if (s->base) return GT_OK;
    return GT_FAIL(GT_ERR_CONFIG, "%s: does not say which base it belongs to; pass --base MODEL", path);
}

/* The checkpoint's tensors in the adapter's order, under the names it gave them. */
static gt_status load_checkpoint(gt_export_source *s, const gt_weights *w)
{
    const gt_train_state *state = gt_ckpt_state(s->checkpoint);
    GT_TRY(gt_lora_targets_resolve(&s->targets, &s->config, &w->config, w->prefix));
    const size_t count = gt_ckpt_elements(state), tensors = 2 * s->targets.modules;
    const char *layers = state->tensor_count ? strstr(state->tensor[0].name, "layers.") : NULL;
    const int prefix = layers ? (int)(layers - state->tensor[0].name) : 0;
    gt_ckpt_tensor *tensor = calloc(tensors + 1, sizeof *tensor);
    char(*name)[GT_CKPT_NAME] = calloc(tensors + 1, sizeof *name);
    s->param = calloc(count + 1, sizeof *s->param);
    gt_status st = tensor && name && s->param ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "no memory for %zu parameters", count);
    size_t at = 0, n = 0;
    for (int i = 0; st == GT_OK && i < s->targets.layers * GT_PROJ_COUNT; i++) {
        const int r = s->targets.rank[i];
        if (r == 0) continue;
        const gt_slot slot = gt_slot_at(i);
        int rows, cols;
        gt_proj_shape(&w->config, slot.proj, &rows, &cols);
        for (int half = 0; half < 2 && st == GT_OK; half++, n++) {
            const size_t size = (size_t)r * (size_t)(half ? rows : cols);
            snprintf(name[n], sizeof name[n], "%.*slayers.%d.%s.lora_%c.weight", prefix,
                     state->tensor_count ? state->tensor[0].name : "", slot.layer, gt_proj_path(slot.proj), "AB"[half]);
            tensor[n] = (gt_ckpt_tensor){name[n], 2, {half ? rows : r, half ? r : cols}, s->param + at, NULL, NULL};
            if (size > count - at)
                st = GT_FAIL(GT_ERR_CONFIG, "%s: its adapter is not of this base: %s does not fit",
                             gt_ckpt_path(s->checkpoint), name[n]);
            else
                at += size;
        }
    }
    if (st == GT_OK) st = gt_ckpt_read(s->checkpoint, tensor, (int)tensors);
    free(tensor);
    free(name);
    return st;
}

gt_status gt_export_source_load(gt_export_source *s, const char *path, const gt_weights *w)
{
    if (s->from_run) return load_checkpoint(s, w);
    GT_TRY(gt_adapter_read(&s->adapter, path, &w->config));
    s->config = s->adapter->config;
    s->targets = s->adapter->targets;
    s->param = s->adapter->param;
    return GT_OK;
}

void gt_export_source_close(gt_export_source *s)
{
    if (!s->adapter) free(s->param);
    gt_adapter_free(s->adapter);
    if (s->from_run) gt_recipe_free(&s->recipe);
    gt_ckpt_close(s->checkpoint);
    free(s->base);
    *s = (gt_export_source){0};
}
