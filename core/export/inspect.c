#include "inspect.h"

#include "adapter_config.h"
#include "fs.h"
#include "hub.h"
#include "inspect_base.h"
#include "safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG = 16 << 20 };

gt_inspect_kind gt_inspect_what(const char *path)
{
    if (gt_fs_is_dir(path)) {
        if (gt_fs_holds(path, "adapter_config.json")) return GT_INSPECT_ADAPTER;
        return gt_fs_holds(path, "config.json") ? GT_INSPECT_BASE : GT_INSPECT_OTHER;
    }
    if (!gt_fs_exists(path)) return gt_hub_is_id(path) ? GT_INSPECT_BASE : GT_INSPECT_OTHER;
    if (gt_model_file_kind(path) != GT_MODEL_OTHER) return GT_INSPECT_BASE;
    return gt_ends_with(path, ".safetensors") ? GT_INSPECT_TENSORS : GT_INSPECT_OTHER;
}

static void add_names(gt_text *out, const gt_lora_config *c)
{
    if (c->all_linear) gt_text_addf(out, "all-linear");
    for (size_t i = 0; !c->all_linear && i < c->targets.count; i++)
        gt_text_addf(out, "%s%.200s", i ? ", " : "", c->targets.item[i]);
    gt_text_addf(out, "%s\n", c->targets.is_regex ? " (a regular expression)" : "");
}

static void add_adapter_config(gt_text *out, const gt_lora_config *c, const char *base_model)
{
    gt_text_addf(out, "  rank         %d, alpha %g%s%s\n", c->r, c->alpha, c->rslora ? ", rank-stabilized" : "",
                 c->rank_patterns || c->alpha_patterns ? ", with exceptions by pattern" : "");
    gt_text_addf(out, "  dropout      %g\n  targets      ", c->dropout);
    add_names(out, c);
    gt_text_addf(out, "  base model   %.400s\n", base_model ? base_model : "not named");
}

static gt_status read_adapter_config(gt_text *out, const char *folder)
{
    char *path = gt_fs_join(folder, "adapter_config.json"), *text = NULL, *base_model = NULL;
    size_t size = 0;
    gt_lora_config c = {0};
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
    gt_status st = gt_fs_read(&text, &size, path, MAX_CONFIG);
    if (st == GT_OK) {
        st = gt_adapter_config_parse(&c, &base_model, text, size, path);
        if (st == GT_OK) add_adapter_config(out, &c, base_model);
        gt_lora_config_free(&c);
    }
    free(base_model);
    free(text);
    free(path);
    return st;
}

static gt_status add_adapter_tensors(gt_text *out, const gt_safetensors *s)
{
    uint64_t elements = 0, bytes = 0;
    size_t modules = 0;
    const char *dtype = "";
    for (size_t i = 0; i < gt_safetensors_count(s); i++) {
        const gt_safetensor *t = gt_safetensors_at(s, i);
        elements += t->elements;
        bytes += t->bytes;
        modules += strstr(t->name, ".lora_A") != NULL;
        dtype = i > 0 && strcmp(dtype, t->dtype_name) != 0 ? "mixed" : t->dtype_name;
    }
    gt_text_addf(out, "  tensors      %zu of %zu modules, %s\n  parameters   %" PRIu64 ", ", gt_safetensors_count(s),
                 modules, dtype, elements);
    gt_text_add_bytes(out, bytes);
    gt_text_addf(out, "\n");
    return GT_OK;
}

static gt_status inspect_adapter(gt_text *out, const char *folder)
{
    char *path = gt_fs_join(folder, "adapter_model.safetensors");
    gt_safetensors *s = NULL;
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
    gt_text_addf(out, "%s: a LoRA adapter (PEFT folder)\n", folder);
    gt_status st = read_adapter_config(out, folder);
    if (st == GT_OK) st = gt_safetensors_open(&s, path);
    if (st == GT_OK) st = add_adapter_tensors(out, s);
    gt_safetensors_close(s);
    free(path);
    return st;
}

static gt_status inspect_tensors(gt_text *out, const char *path)
{
    gt_safetensors *s = NULL;
    GT_TRY(gt_safetensors_open(&s, path));
    gt_text_addf(out, "%s: a safetensors file of %zu tensors\n", path, gt_safetensors_count(s));
    for (size_t i = 0; i < gt_safetensors_metadata_count(s); i++) {
        const char *key, *value = gt_safetensors_metadata_at(s, i, &key);
        gt_text_addf(out, "  %.100s = %.400s\n", key, value);
    }
    for (size_t i = 0; i < gt_safetensors_count(s); i++) {
        const gt_safetensor *t = gt_safetensors_at(s, i);
        gt_text_addf(out, "  %-60.200s %-5s [", t->name, t->dtype_name);
        for (int d = 0; d < t->rank; d++) gt_text_addf(out, "%s%" PRIu64, d ? ", " : "", t->shape[d]);
        gt_text_addf(out, "]  ");
        gt_text_add_bytes(out, t->bytes);
        gt_text_addf(out, "\n");
    }
    gt_safetensors_close(s);
    return GT_OK;
}

gt_status gt_inspect(gt_text *out, gt_inspect_kind kind, const char *path)
{
    const size_t begin = out->size;
    gt_status st = GT_OK;
    switch (kind) {
    case GT_INSPECT_BASE:
        st = gt_inspect_base(out, path);
        break;
    case GT_INSPECT_ADAPTER:
        st = inspect_adapter(out, path);
        break;
    case GT_INSPECT_TENSORS:
        st = inspect_tensors(out, path);
        break;
    case GT_INSPECT_OTHER:
        return GT_FAIL(GT_ERR_ARG, "%s: neither a model nor an adapter nor a tensor file", path);
    }
    if (out->data) gt_tame_text(out->data + begin, out->size - begin); /* names come from the file */
    return st;
}
