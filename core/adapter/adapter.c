#include "adapter.h"

#include "adapter_config.h"
#include "checked.h"
#include "fs.h"
#include "safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = GT_MAX_LAYERS * GT_PROJ_COUNT, MAX_CONFIG = 16 << 20 };

static const char key_prefix[] = "base_model.model.";

/* The tensors of a file by slot: [0] A, [1] B. */
typedef struct {
    const gt_safetensor *pair[SLOTS][2];
    const char *module_prefix; /* of the tree that the file's names speak of; NULL: no tensor yet */
    size_t vision, found;
} tensor_table;

void gt_adapter_free(gt_adapter *a)
{
    if (!a) return;
    gt_lora_config_free(&a->config);
    free(a->param);
    free(a->base_model);
    free(a);
}

/* Moves *s past text if it stands there. */
static bool skip(const char **s, const char *text)
{
    const size_t n = strlen(text);
    if (strncmp(*s, text, n) != 0) return false;
    *s += n;
    return true;
}

/* The prefix of the module tree in front of "layers.": longest first; NULL when it is none of Gemma 3's. */
static const char *skip_module_prefix(const char **s)
{
    static const char *const prefixes[] = {"model.language_model.", "language_model.model.", "model.", ""};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const char *rest = *s;
        if (!skip(&rest, prefixes[i]) || strncmp(rest, "layers.", 7) != 0) continue;
        *s = rest;
        return prefixes[i];
    }
    return NULL;
}

/* "layers.3.self_attn.q_proj.lora_A.weight" -> slot and half; false when it is something else. */
static bool parse_module(const char *s, int layers, int *slot, int *half)
{
    if (!skip(&s, "layers.") || *s < '0' || *s > '9') return false;
    char *end;
    const long layer = strtol(s, &end, 10);
    if (*end != '.' || layer >= layers || (s[0] == '0' && end - s > 1)) return false;
    for (int p = 0; p < GT_PROJ_COUNT; p++) {
        s = end + 1;
        if (!skip(&s, gt_proj_path((gt_proj)p))) continue;
        *slot = gt_slot_index((gt_slot){(int)layer, (gt_proj)p});
        *half = strcmp(s, ".lora_B.weight") == 0;
        if (*half || strcmp(s, ".lora_A.weight") == 0) return true;
    }
    return false;
}

/* Says what a tensor that is no half of a pair is. */
static gt_status refuse_tensor(const char *path, const char *name, int layers)
{
    if (strstr(name, "lora_magnitude_vector"))
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': DoRA adapters are not supported", path, name);
    if (strstr(name, "lora_embedding_"))
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': adapters of the embedding are not supported", path, name);
    if (strstr(name, "lora_B.bias"))
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': LoRA biases are not supported", path, name);
    return GT_FAIL(GT_ERR_DATA,
                   "%s: tensor '%.200s' belongs to no module of this model of %d layers; expected "
                   "base_model.model.<model path>.layers.N.<projection>.lora_A.weight or lora_B.weight",
                   path, name, layers);
}

static gt_status sort_tensors(tensor_table *t, const gt_safetensors *file, int layers)
{
    const char *path = gt_safetensors_path(file);
    for (size_t i = 0; i < gt_safetensors_count(file); i++) {
        const gt_safetensor *tensor = gt_safetensors_at(file, i);
        const char *rest = tensor->name;
        int slot, half;
        if (strstr(rest, "vision_tower.")) {
            t->vision++;
            continue;
        }
        const char *module_prefix = skip(&rest, key_prefix) ? skip_module_prefix(&rest) : NULL;
        if (!module_prefix || !parse_module(rest, layers, &slot, &half))
            return refuse_tensor(path, tensor->name, layers);
        if (t->module_prefix && t->module_prefix != module_prefix)
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': the file names modules with two prefixes", path,
                           tensor->name);
        t->module_prefix = module_prefix;
        t->pair[slot][half] = tensor;
        t->found++;
    }
    return t->found ? GT_OK : GT_FAIL(GT_ERR_DATA, "%s: holds no LoRA tensors of the text model", path);
}

static gt_status check_half(const gt_safetensor *t, const char *path, int rows, int cols, int r)
{
    if (t->dtype != GT_F32 && t->dtype != GT_F16 && t->dtype != GT_BF16)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s' is %s; expected F32, F16 or BF16", path, t->name,
                       t->dtype_name);
    if (t->rank != 2 || t->shape[0] != (uint64_t)rows || t->shape[1] != (uint64_t)cols)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s' is [%llu, %llu]; this model and rank %d ask for [%d, %d]",
                       path, t->name, t->rank > 0 ? (unsigned long long)t->shape[0] : 0,
                       t->rank > 1 ? (unsigned long long)t->shape[1] : 0, r, rows, cols);
    return GT_OK;
}

/* Config and file must agree on which modules have adapters and of what rank. Sums up *count. */
static gt_status check_pairs(const tensor_table *t, const gt_lora_targets *targets, const gt_model_config *m,
                             const char *path, size_t *count)
{
    size_t n = 0;
    for (int i = 0; i < targets->layers * GT_PROJ_COUNT; i++) {
        const gt_safetensor *a = t->pair[i][0], *b = t->pair[i][1];
        const int r = targets->rank[i];
        if (!a && !b && r == 0) continue;
        const gt_slot slot = gt_slot_at(i);
        const char *which = gt_proj_path(slot.proj);
        if (!a || !b)
            return GT_FAIL(GT_ERR_DATA, "%s: layers.%d.%s has no %s", path, slot.layer, which,
                           a   ? "lora_B"
                           : b ? "lora_A"
                               : "tensors, though the config's target_modules name it");
        if (r == 0)
            return GT_FAIL(GT_ERR_DATA, "%s: '%.200s': the config's target_modules do not name this module", path,
                           a->name);
        int out, in;
        gt_proj_shape(m, slot.proj, &out, &in);
        GT_TRY(check_half(a, path, r, in, r));
        GT_TRY(check_half(b, path, out, r, r));
        n += (size_t)r * ((size_t)in + (size_t)out);
    }
    *count = n;
    return GT_OK;
}

static gt_status widen(float *out, const gt_safetensor *t, const char *path)
{
    const uint8_t *from = t->data;
    for (size_t i = 0; i < t->elements; i++) {
        uint16_t half;
        if (t->dtype == GT_F32)
            memcpy(&out[i], from + 4 * i, 4); /* a file's data need not be aligned */
        else {
            memcpy(&half, from + 2 * i, 2);
            out[i] = t->dtype == GT_BF16 ? gt_bf16_to_f32(half) : gt_f16_to_f32(half);
        }
        if (!isfinite(out[i]))
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': element %zu is not finite", path, t->name, i);
    }
    return GT_OK;
}

static gt_status read_values(gt_adapter *a, const tensor_table *t, const char *path)
{
    a->param = malloc(gt_max_size(a->count, 1) * sizeof *a->param);
    if (!a->param) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu parameters", path, a->count);
    float *at = a->param;
    for (int i = 0; i < a->targets.layers * GT_PROJ_COUNT; i++) {
        for (int half = 0; half < 2 && t->pair[i][half]; half++) {
            GT_TRY(widen(at, t->pair[i][half], path));
            at += t->pair[i][half]->elements;
        }
    }
    return GT_OK;
}

static gt_status read_config(gt_adapter *a, const char *folder)
{
    char *path = gt_fs_join(folder, "adapter_config.json"), *text = NULL;
    size_t size = 0;
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
    gt_status st = gt_fs_read(&text, &size, path, MAX_CONFIG);
    if (st == GT_OK) st = gt_adapter_config_parse(&a->config, &a->base_model, text, size, path);
    free(text);
    free(path);
    return st;
}

static gt_status read_tensors(gt_adapter *a, tensor_table *t, const gt_safetensors *file, const gt_model_config *m)
{
    const char *path = gt_safetensors_path(file);
    GT_TRY(sort_tensors(t, file, m->num_hidden_layers));
    if (gt_lora_targets_resolve_in(&a->targets, &a->config, m, t->module_prefix) != GT_OK) {
        char words[sizeof gt_error_last()->message];
        memcpy(words, gt_error_last()->message, sizeof words);
        return GT_FAIL(GT_ERR_DATA, "%s: its adapter_config.json: %.800s", path, words);
    }
    GT_TRY(check_pairs(t, &a->targets, m, path, &a->count));
    a->ignored_vision = t->vision;
    return read_values(a, t, path);
}

gt_status gt_adapter_read(gt_adapter **out, const char *folder, const gt_model_config *m)
{
    gt_adapter *a = calloc(1, sizeof *a);
    tensor_table *table = calloc(1, sizeof *table);
    char *path = gt_fs_join(folder, "adapter_model.safetensors");
    gt_safetensors *file = NULL;
    gt_status st = a && table && path ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for an adapter", folder);
    if (st == GT_OK) st = read_config(a, folder);
    if (st == GT_OK) st = gt_safetensors_open(&file, path);
    if (st == GT_OK) st = read_tensors(a, table, file, m);
    gt_safetensors_close(file);
    free(path);
    free(table);
    if (st != GT_OK) {
        gt_adapter_free(a);
        return st;
    }
    *out = a;
    return GT_OK;
}
