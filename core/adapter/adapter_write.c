/* An adapter as PEFT's files. What PEFT matches are module names, so tensors and targets are spelled for the module
 * tree that transformers builds for this base; a multimodal one needs a regular expression, since plain names would
 * match its vision tower too. */
#include "adapter.h"

#include "adapter_config.h"
#include "fs.h"
#include "output_folder.h"
#include "safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One tensor to be written, with its values. */
typedef struct {
    char name[160];
    const float *data;
    int rows, cols;
} piece;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const piece *)a)->name, ((const piece *)b)->name);
}

static size_t count_modules(const gt_adapter_source *s)
{
    size_t n = 0;
    for (int i = 0; i < gt_slot_count(s->model); i++) n += s->rank[i] > 0;
    return n;
}

/* Fills piece [2 * modules], sorted by name as PEFT's files are. */
static gt_status make_pieces(piece *out, const gt_adapter_source *s)
{
    size_t n = 0;
    const float *at = s->param;
    for (int i = 0; i < gt_slot_count(s->model); i++) {
        const int r = s->rank[i];
        if (r == 0) continue;
        const gt_slot slot = gt_slot_at(i);
        int rows, cols;
        gt_proj_shape(s->model, slot.proj, &rows, &cols);
        for (int half = 0; half < 2; half++) {
            piece *p = &out[n++];
            p->data = at;
            p->rows = half ? rows : r;
            p->cols = half ? r : cols;
            snprintf(p->name, sizeof p->name, "base_model.model.%slayers.%d.%s.lora_%c.weight",
                     gt_module_prefix(s->prefix), slot.layer, gt_proj_path(slot.proj), half ? 'B' : 'A');
            const size_t elements = (size_t)p->rows * (size_t)p->cols;
            for (size_t e = 0; e < elements; e++)
                if (!isfinite(at[e]))
                    return GT_FAIL(GT_ERR_DATA, "'%s': element %zu is not finite; nothing is written", p->name, e);
            at += elements;
        }
    }
    qsort(out, n, sizeof *out, by_name);
    return GT_OK;
}

static gt_status write_tensors(const char *path, const piece *p, size_t count)
{
    gt_safetensor_spec *spec = calloc(count + 1, sizeof *spec);
    if (!spec) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu tensors", path, count);
    for (size_t i = 0; i < count; i++)
        spec[i] = (gt_safetensor_spec){
            .name = p[i].name, .dtype = GT_F32, .rank = 2, .shape = {(uint64_t)p[i].rows, (uint64_t)p[i].cols}};
    gt_safetensors_writer *w = NULL;
    gt_status st = gt_safetensors_create(&w, path, spec, count, NULL);
    free(spec);
    if (st != GT_OK) return st;
    for (size_t i = 0; st == GT_OK && i < count; i++)
        st = gt_safetensors_write(w, p[i].data, (size_t)p[i].rows * (size_t)p[i].cols * sizeof(float));
    if (st == GT_OK) return gt_safetensors_publish(w);
    gt_safetensors_abandon(w);
    return st;
}

/* Whether the projection has an adapter in every layer that has any: so its name alone says which modules are meant. */
static bool layer_has_any(const gt_adapter_source *s, int layer)
{
    for (int p = 0; p < GT_PROJ_COUNT; p++)
        if (s->rank[gt_slot_index((gt_slot){layer, (gt_proj)p})] > 0) return true;
    return false;
}

/* "model\.language_model\.layers\.(0|1|2)\.(self_attn\.q_proj|...)" when every such layer has the same projections, and
 * one alternative a module otherwise. */
static void make_regex(gt_text *t, const gt_adapter_source *s)
{
    const int layers = s->model->num_hidden_layers;
    bool regular = true;
    for (int p = 0; p < GT_PROJ_COUNT; p++) {
        int have = 0, lack = 0;
        for (int l = 0; l < layers; l++) {
            if (!layer_has_any(s, l)) continue;
            if (s->rank[gt_slot_index((gt_slot){l, (gt_proj)p})] > 0)
                have++;
            else
                lack++;
        }
        regular &= have == 0 || lack == 0;
    }
    gt_text_addf(t, "model\\.language_model\\.layers\\.(");
    const char *bar = "";
    if (!regular) {
        for (int i = 0; i < gt_slot_count(s->model); i++) {
            if (s->rank[i] == 0) continue;
            gt_text_addf(t, "%s%d\\.%s", bar, gt_slot_at(i).layer, gt_proj_path(gt_slot_at(i).proj));
            bar = "|";
        }
        gt_text_addf(t, ")");
        return;
    }
    int first = 0;
    for (int l = 0; l < layers; l++) {
        if (!layer_has_any(s, l)) continue;
        gt_text_addf(t, "%s%d", bar, l);
        bar = "|";
        first = l;
    }
    gt_text_addf(t, ")\\.(");
    bar = "";
    for (int p = 0; p < GT_PROJ_COUNT; p++) {
        if (s->rank[gt_slot_index((gt_slot){first, (gt_proj)p})] == 0) continue;
        gt_text_addf(t, "%s%s", bar, gt_proj_path((gt_proj)p));
        bar = "|";
    }
    gt_text_addf(t, ")");
}

static gt_status write_config(const char *path, const gt_adapter_source *s)
{
    gt_text regex = {0}, text = {0};
    const bool multimodal = strcmp(gt_module_prefix(s->prefix), "model.language_model.") == 0;
    if (multimodal) make_regex(&regex, s);
    gt_status st = regex.failed ? GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its text", path)
                                : gt_adapter_config_print(&text, s->config, s->base_model, regex.data);
    if (st == GT_OK) st = gt_fs_write(path, text.data, text.size);
    gt_text_free(&regex);
    gt_text_free(&text);
    return st;
}

static gt_status write_files(const char *folder, const gt_adapter_source *s)
{
    const size_t count = 2 * count_modules(s);
    piece *pieces = calloc(count + 1, sizeof *pieces);
    char *tensors = gt_fs_join(folder, "adapter_model.safetensors"),
         *config = gt_fs_join(folder, "adapter_config.json");
    gt_status st = pieces && tensors && config ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for an adapter", folder);
    if (st == GT_OK) st = make_pieces(pieces, s);
    if (st == GT_OK) st = write_tensors(tensors, pieces, count);
    if (st == GT_OK) st = write_config(config, s);
    free(pieces);
    free(tensors);
    free(config);
    return st;
}

gt_status gt_adapter_write(const char *folder, const gt_adapter_source *s, bool replace)
{
    gt_output_folder out = {0};
    GT_TRY(gt_output_folder_open(&out, folder, replace));
    gt_status st = write_files(out.tmp, s);
    if (st == GT_OK) return gt_output_folder_publish(&out);
    gt_output_folder_abandon(&out);
    return st;
}
