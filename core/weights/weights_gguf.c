/* A GGUF file as a base: blocks are taken as stored, norms are stored as the factor 1 + w. */
#include "weights_sources.h"

#include "gguf.h"
#include "gguf_config.h"
#include "log.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const proj_names[GT_PROJ_COUNT] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                                      "ffn_gate", "ffn_up", "ffn_down"};
static const char *const norm_names[GT_NORM_COUNT] = {"attn_norm",           "attn_q_norm", "attn_k_norm",
                                                      "post_attention_norm", "ffn_norm",    "post_ffw_norm"};

static void release(void *g)
{
    gt_gguf_close(g);
}

static gt_status find(const gt_gguf_tensor **out, const gt_gguf *g, const char *name)
{
    *out = gt_gguf_find(g, name);
    if (!*out) return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' is missing", gt_gguf_path(g, 0), name);
    return GT_OK;
}

static gt_status load_matrix(gt_matrix *out, const gt_gguf *g, const char *name, int rows, int cols)
{
    const gt_gguf_tensor *t = NULL;
    GT_TRY(find(&t, g, name));
    if (t->rank != 2 || t->dim[0] != (uint64_t)cols || t->dim[1] != (uint64_t)rows)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: tensor '%s' has %d dimensions and %" PRIu64 " rows of %" PRIu64
                       ", the metadata need %d rows of %d",
                       gt_gguf_path(g, t->file), name, t->rank, t->dim[1], t->dim[0], rows, cols);
    *out = (gt_matrix){.data = t->data, .dtype = t->dtype, .rows = rows, .cols = cols};
    return GT_OK;
}

static gt_status load_norm(float **out, gt_weights *w, const gt_gguf *g, const char *name, int n)
{
    const gt_gguf_tensor *t = NULL;
    void *buffer = NULL;
    GT_TRY(find(&t, g, name));
    if (t->elements != (size_t)n || (t->dtype != GT_F32 && t->dtype != GT_F16 && t->dtype != GT_BF16))
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' is %s with %zu elements, expected F32 with %d",
                       gt_gguf_path(g, t->file), name, gt_dtype_name(t->dtype), t->elements, n);
    GT_TRY(gt_weights_buffer(w, &buffer, (size_t)n * sizeof(float)));
    float *factor = buffer;
    const uint16_t *half = t->data;
    if (t->dtype == GT_F32)
        memcpy(factor, t->data, (size_t)n * sizeof(float));
    else
        for (int i = 0; i < n; i++) factor[i] = t->dtype == GT_F16 ? gt_f16_to_f32(half[i]) : gt_bf16_to_f32(half[i]);
    *out = factor;
    return GT_OK;
}

static gt_status load(gt_weights *w, const gt_gguf *g)
{
    const gt_model_config *c = &w->config;
    char name[64];
    GT_TRY(load_matrix(&w->embed, g, "token_embd.weight", c->vocab_size, c->hidden_size));
    GT_TRY(load_norm(&w->final_norm, w, g, "output_norm.weight", c->hidden_size));
    for (int l = 0; l < c->num_hidden_layers; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            int rows, cols;
            gt_proj_shape(c, (gt_proj)p, &rows, &cols);
            snprintf(name, sizeof name, "blk.%d.%s.weight", l, proj_names[p]);
            GT_TRY(load_matrix(&w->proj[l][p], g, name, rows, cols));
        }
        for (int n = 0; n < GT_NORM_COUNT; n++) {
            snprintf(name, sizeof name, "blk.%d.%s.weight", l, norm_names[n]);
            GT_TRY(load_norm(&w->norm[l][n], w, g, name, gt_weights_norm_size(c, (gt_norm)n)));
        }
    }
    return GT_OK;
}

/* Everything that is there must be used: 13 tensors a layer, the embedding and the final norm. */
static gt_status look_at_rest(const gt_weights *w, const gt_gguf *g)
{
    const size_t used = 2 + 13 * (size_t)w->config.num_hidden_layers;
    size_t rest = gt_gguf_count(g) - used;
    for (size_t i = 0; i < gt_gguf_count(g); i++) {
        const gt_gguf_tensor *t = gt_gguf_at(g, i);
        if (gt_ends_with(t->name, ".bias"))
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s': Gemma 3 has no bias", gt_gguf_path(g, t->file), t->name);
    }
    if (gt_gguf_find(g, "output.weight")) {
        rest--;
        gt_log(GT_WARN, "weights", "%s: output.weight is ignored: Gemma 3 ties the head to the embedding", w->path);
    }
    if (rest > 0)
        gt_log(GT_WARN, "weights", "%s: %zu tensors belong to no part of the model and are ignored", w->path, rest);
    return GT_OK;
}

static gt_status open_all(gt_weights *w, const char *path)
{
    gt_gguf *g = NULL;
    GT_TRY(gt_gguf_open(&g, path));
    GT_TRY(gt_weights_keep(w, g, release));
    GT_TRY(gt_model_config_from_gguf(&w->config, g));
    if (w->config.bidirectional) w->prefix[0] = 0;
    GT_TRY(load(w, g));
    return look_at_rest(w, g);
}

gt_status gt_weights_open_gguf(gt_weights **out, const char *path)
{
    gt_weights *w = NULL;
    GT_TRY(gt_weights_new(&w, "gguf", path));
    gt_status st = open_all(w, path);
    if (st != GT_OK)
        gt_weights_close(w);
    else
        *out = w;
    return st;
}
