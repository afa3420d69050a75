/* A Hugging Face folder: config.json, safetensors in one file or in shards, text-only or multimodal (text tower), plain
 * or packed by bitsandbytes. Names and prefixes: docs/model/gemma3.md section 4. */
#include "weights_bnb.h"

#include "fs.h"
#include "log.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG = 16 << 20, NAME = 256 };

/* How a file spells the text model's place, and what transformers' module tree calls it today. */
static const struct {
    const char *file, *module;
} prefixes[] = {
    {"model.", "model."},
    {"language_model.model.", "model.language_model."}, /* as published first; renamed on loading */
    {"model.language_model.", "model.language_model."},
    {"", ""}, /* EmbeddingGemma */
};

typedef struct {
    gt_weights *w;
    gt_tensor_set *set;
    const char *prefix;
} loader;

static void release_set(void *set)
{
    gt_tensor_set_close(set);
}

static gt_status read_config(gt_model_config *c, const char *folder)
{
    char *path = gt_fs_join(folder, "config.json"), *text = NULL;
    size_t size;
    gt_status st = GT_OK;
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
    if (!gt_fs_exists(path))
        st = GT_FAIL(GT_ERR_DATA, "%s: no config.json: not a model's folder (give the .gguf or .gtq file itself)",
                     folder);
    if (st == GT_OK) st = gt_fs_read(&text, &size, path, MAX_CONFIG);
    if (st == GT_OK) st = gt_model_config_parse(c, text, size, path);
    if (st == GT_OK) st = gt_bnb_check_config(text, size, path);
    free(text);
    free(path);
    return st;
}

/* generation_config.json is optional; the ids that end an answer are taken from it. */
static gt_status read_generation(gt_model_config *c, const char *folder)
{
    char *path = gt_fs_join(folder, "generation_config.json"), *text = NULL;
    size_t size;
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
    gt_status st = GT_OK;
    if (gt_fs_exists(path)) {
        st = gt_fs_read(&text, &size, path, MAX_CONFIG);
        if (st == GT_OK) st = gt_model_config_parse_generation(c, text, size, path);
    }
    free(text);
    free(path);
    return st;
}

static gt_status find_prefix(loader *l)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        char name[NAME];
        snprintf(name, sizeof name, "%sembed_tokens.weight", prefixes[i].file);
        if (!gt_tensor_set_find(l->set, name)) continue;
        l->prefix = prefixes[i].file;
        snprintf(l->w->prefix, sizeof l->w->prefix, "%s", prefixes[i].module);
        return GT_OK;
    }
    return GT_FAIL(GT_ERR_DATA,
                   "%s: no tensor embed_tokens.weight under a known prefix (model., language_model.model., "
                   "model.language_model., none): not a Gemma 3",
                   l->w->path);
}

static gt_status take(const gt_safetensor **out, const loader *l, const char *name)
{
    *out = gt_tensor_set_take(l->set, name);
    if (!*out) return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' is missing", l->w->path, name);
    return GT_OK;
}

static gt_status load_matrix(loader *l, const char *module, int rows, int cols, bool may_be_packed, gt_matrix *out)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s%s.weight", l->prefix, module);
    if (may_be_packed && gt_bnb_is_packed(l->set, name)) return gt_bnb_matrix(out, l->w, l->set, name, rows, cols);
    const gt_safetensor *t;
    GT_TRY(take(&t, l, name));
    const char *where = gt_tensor_set_where(l->set, t);
    if (t->dtype != GT_F32 && t->dtype != GT_F16 && t->dtype != GT_BF16 && t->dtype != GT_F64)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has dtype %s, expected BF16, F16, F32 or F64%s", where, name,
                       t->dtype_name,
                       t->dtype == GT_U8 ? " (or packed 4-bit codes with their quant_state, which is missing)" : "");
    if (t->rank != 2 || t->shape[0] != (uint64_t)rows || t->shape[1] != (uint64_t)cols)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: tensor '%s' has rank %d and shape [%" PRIu64 ", %" PRIu64 "], the config needs [%d, %d]",
                       where, name, t->rank, t->rank > 0 ? t->shape[0] : 0, t->rank > 1 ? t->shape[1] : 0, rows, cols);
    const void *data;
    GT_TRY(gt_weights_aligned(&data, l->w, l->set, t, (size_t)gt_dtype_block_bytes(t->dtype)));
    *out = (gt_matrix){.data = data, .dtype = t->dtype, .rows = rows, .cols = cols};
    return GT_OK;
}

/* The factor 1 + w of an RMS norm, w widened to float first and the sum rounded once. */
static gt_status load_norm(loader *l, const char *module, int n, float **out)
{
    char name[NAME];
    const gt_safetensor *t;
    void *buffer;
    snprintf(name, sizeof name, "%s%s.weight", l->prefix, module);
    GT_TRY(take(&t, l, name));
    if (t->rank != 1 || t->elements != (size_t)n)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has rank %d and %zu elements, the config needs [%d]",
                       gt_tensor_set_where(l->set, t), name, t->rank, t->elements, n);
    GT_TRY(gt_weights_buffer(l->w, &buffer, (size_t)n * sizeof(float)));
    float *factor = buffer;
    for (int i = 0; i < n; i++) {
        const uint8_t *p = (const uint8_t *)t->data + (size_t)i * (size_t)gt_dtype_block_bytes(t->dtype);
        uint16_t h;
        float f;
        double d;
        switch (t->dtype) {
        case GT_BF16:
            memcpy(&h, p, 2), f = gt_bf16_to_f32(h);
            break;
        case GT_F16:
            memcpy(&h, p, 2), f = gt_f16_to_f32(h);
            break;
        case GT_F32:
            memcpy(&f, p, 4);
            break;
        case GT_F64:
            memcpy(&d, p, 8), f = (float)d;
            break;
        default:
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has dtype %s, expected BF16, F16, F32 or F64",
                           gt_tensor_set_where(l->set, t), name, t->dtype_name);
        }
        factor[i] = 1.0f + f;
    }
    *out = factor;
    return GT_OK;
}

/* The vocabulary is as large as the embedding: the config's number is only compared with it. */
static gt_status load_embedding(loader *l)
{
    gt_model_config *c = &l->w->config;
    char name[NAME];
    const gt_safetensor *t;
    snprintf(name, sizeof name, "%sembed_tokens.weight", l->prefix);
    GT_TRY(take(&t, l, name));
    if (t->rank != 2 || t->shape[0] < 1 || t->shape[0] > 1 << 24)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has rank %d and %zu elements, expected [vocabulary, %d]",
                       gt_tensor_set_where(l->set, t), name, t->rank, t->elements, c->hidden_size);
    if (t->shape[0] != (uint64_t)c->vocab_size)
        gt_log(GT_WARN, "weights", "%s: config says vocab_size %d, the embedding has %" PRIu64 " rows; those count",
               l->w->path, c->vocab_size, t->shape[0]);
    c->vocab_size = (int)t->shape[0];
    return load_matrix(l, "embed_tokens", c->vocab_size, c->hidden_size, false, &l->w->embed);
}

static gt_status load_layers(loader *l)
{
    gt_weights *w = l->w;
    char name[80];
    for (int i = 0; i < w->config.num_hidden_layers; i++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            int rows, cols;
            gt_proj_shape(&w->config, (gt_proj)p, &rows, &cols);
            gt_weights_proj_name(name, i, (gt_proj)p);
            GT_TRY(load_matrix(l, name, rows, cols, true, &w->proj[i][p]));
        }
        for (int n = 0; n < GT_NORM_COUNT; n++) {
            gt_weights_norm_name(name, i, (gt_norm)n);
            GT_TRY(load_norm(l, name, gt_weights_norm_size(&w->config, (gt_norm)n), &w->norm[i][n]));
        }
    }
    return load_norm(l, "norm", w->config.hidden_size, &w->final_norm);
}

/* lm_head is the embedding in every Gemma 3. A copy is ignored; one that differs is worth a warning. Up to 64 MiB are
 * compared, spread over the whole, so that opening stays quick. */
static void look_at_head(const loader *l)
{
    static const char *const names[] = {"lm_head.weight", "language_model.lm_head.weight", "model.lm_head.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const gt_safetensor *t = gt_tensor_set_take(l->set, names[i]);
        if (!t) continue;
        const gt_matrix *e = &l->w->embed;
        bool same = t->dtype == e->dtype && t->elements == (size_t)e->rows * (size_t)e->cols;
        const size_t piece = 4096, step = t->bytes > (size_t)64 << 20 ? t->bytes / 16384 : piece;
        for (size_t at = 0; same && at < t->bytes; at += step)
            same = memcmp((const uint8_t *)t->data + at, (const uint8_t *)e->data + at,
                          t->bytes - at < piece ? t->bytes - at : piece) == 0;
        if (!same)
            gt_log(GT_WARN, "weights", "%s: %s differs from the embedding; the embedding is used, as Gemma 3 ties them",
                   l->w->path, names[i]);
    }
}

static bool is_vision(const char *name)
{
    if (gt_begins_with(name, "model.")) name += strlen("model.");
    return gt_begins_with(name, "vision_tower.") || gt_begins_with(name, "multi_modal_projector.");
}

/* What is left over: the vision part is none of ours; a bias would change the result; the rest is told. */
static gt_status look_at_rest(const loader *l)
{
    const char *first = NULL;
    size_t rest = 0;
    for (size_t i = 0; i < gt_tensor_set_count(l->set); i++) {
        const gt_safetensor *t = gt_tensor_set_at(l->set, i);
        if (gt_tensor_set_used(l->set, i) || is_vision(t->name)) continue;
        if (gt_begins_with(t->name, l->prefix) && gt_ends_with(t->name, ".bias"))
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': Gemma 3 has no bias", gt_tensor_set_where(l->set, t),
                           t->name);
        if (!first) first = t->name;
        rest++;
    }
    if (rest > 0)
        gt_log(GT_WARN, "weights",
               "%s: %zu tensors belong to no part of the model and are ignored, the first is '%.200s'", l->w->path,
               rest, first);
    return GT_OK;
}

static gt_status load(gt_weights *w, const char *folder)
{
    loader l = {.w = w};
    GT_TRY(read_config(&w->config, folder));
    GT_TRY(read_generation(&w->config, folder));
    GT_TRY(gt_tensor_set_open(&l.set, folder));
    GT_TRY(gt_weights_keep(w, l.set, release_set));
    GT_TRY(find_prefix(&l));
    GT_TRY(load_embedding(&l));
    GT_TRY(load_layers(&l));
    look_at_head(&l);
    return look_at_rest(&l);
}

gt_status gt_weights_open_hf(gt_weights **out, const char *folder)
{
    gt_weights *w;
    GT_TRY(gt_weights_new(&w, "huggingface", folder));
    gt_status st = load(w, folder);
    if (st != GT_OK)
        gt_weights_close(w);
    else
        *out = w;
    return st;
}
