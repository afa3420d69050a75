#include "weights_sources.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    void *object;
    void (*release)(void *);
} kept;

struct gt_weights_store {
    kept *item;
    int count, capacity;
    size_t copied;     /* bytes, see gt_weights_note_copy */
    char identity[65]; /* "": not known */
};

gt_status gt_weights_new(gt_weights **out, const char *source, const char *path)
{
    gt_weights *w = calloc(1, sizeof *w);
    if (w) {
        w->store = calloc(1, sizeof *w->store);
        w->path = strdup(path);
    }
    if (!w || !w->store || !w->path) {
        gt_weights_close(w);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a model's description", path);
    }
    snprintf(w->source, sizeof w->source, "%s", source);
    snprintf(w->prefix, sizeof w->prefix, "model.");
    *out = w;
    return GT_OK;
}

void gt_weights_close(gt_weights *w)
{
    if (!w) return;
    if (w->store) {
        for (int i = w->store->count - 1; i >= 0; i--) w->store->item[i].release(w->store->item[i].object);
        free(w->store->item);
        free(w->store);
    }
    free(w->path);
    free(w);
}

gt_status gt_weights_keep(gt_weights *w, void *object, void (*release)(void *))
{
    struct gt_weights_store *s = w->store;
    if (s->count == s->capacity) {
        const int more = s->capacity ? 2 * s->capacity : 64;
        kept *item = realloc(s->item, (size_t)more * sizeof *item);
        if (!item) {
            release(object);
            return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for the list of its buffers", w->path);
        }
        s->item = item;
        s->capacity = more;
    }
    s->item[s->count++] = (kept){object, release};
    return GT_OK;
}

gt_status gt_weights_buffer(gt_weights *w, void **out, size_t bytes)
{
    void *p = NULL;
    if (bytes > SIZE_MAX - 64 || posix_memalign(&p, 64, bytes ? bytes : 1) != 0)
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a buffer of %zu bytes", w->path, bytes);
    GT_TRY(gt_weights_keep(w, p, free));
    *out = p;
    return GT_OK;
}

void gt_weights_note_copy(gt_weights *w, size_t bytes)
{
    w->store->copied += bytes;
}

size_t gt_weights_copied(const gt_weights *w)
{
    return w->store->copied;
}

void gt_weights_set_identity(gt_weights *w, const char hex[65])
{
    memcpy(w->store->identity, hex, 65);
}

const char *gt_weights_carried_identity(const gt_weights *w)
{
    return w->store->identity;
}

static const char *const paths[GT_PROJ_COUNT] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                 "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                 "mlp.down_proj"};

const char *gt_proj_path(gt_proj p)
{
    return paths[p];
}

const char *gt_proj_name(gt_proj p)
{
    return paths[p] + (p < GT_GATE_PROJ ? 10 : 4);
}

void gt_proj_shape(const gt_model_config *c, gt_proj p, int *rows, int *cols)
{
    const int h = c->hidden_size, f = c->intermediate_size;
    const int q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    const int shape[GT_PROJ_COUNT][2] = {{q, h}, {kv, h}, {kv, h}, {h, q}, {f, h}, {f, h}, {h, f}};
    *rows = shape[p][0];
    *cols = shape[p][1];
}

uint64_t gt_weights_parameters(const gt_weights *w)
{
    const gt_model_config *c = &w->config;
    uint64_t layer = 4u * (uint64_t)c->hidden_size + 2u * (uint64_t)c->head_dim;
    for (int p = 0; p < GT_PROJ_COUNT; p++) {
        int rows, cols;
        gt_proj_shape(c, (gt_proj)p, &rows, &cols);
        layer += (uint64_t)rows * (uint64_t)cols;
    }
    return layer * (uint64_t)c->num_hidden_layers + (uint64_t)c->vocab_size * (uint64_t)c->hidden_size +
           (uint64_t)c->hidden_size;
}

void gt_weights_proj_name(char out[80], int layer, gt_proj p)
{
    snprintf(out, 80, "layers.%d.%s", layer, gt_proj_path(p));
}

void gt_weights_norm_name(char out[80], int layer, gt_norm n)
{
    static const char *const names[GT_NORM_COUNT] = {
        "input_layernorm",          "self_attn.q_norm",          "self_attn.k_norm",
        "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
    };
    snprintf(out, 80, "layers.%d.%s", layer, names[n]);
}

gt_fourbit gt_weights_fourbit(const gt_weights *w)
{
    const int count = gt_slot_count(&w->config);
    int nf4 = 0;
    for (int i = 0; i < count; i++) {
        const gt_dtype t = gt_weights_slot(w, i)->dtype;
        if (t == GT_FP4) return GT_FOURBIT_FP4;
        nf4 += t == GT_NF4;
    }
    if (nf4 == 0) return GT_FOURBIT_NONE;
    return nf4 == count ? GT_FOURBIT_NF4 : GT_FOURBIT_SOME;
}

int gt_weights_norm_size(const gt_model_config *c, gt_norm n)
{
    return n == GT_Q_NORM || n == GT_K_NORM ? c->head_dim : c->hidden_size;
}

static gt_status check_matrix(const gt_weights *w, const char *name, const gt_matrix *m, int rows, int cols)
{
    if (!m->data) return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s.weight' is missing", w->path, name);
    if (m->rows != rows || m->cols != cols)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s.weight' is [%d, %d], the config needs [%d, %d]", w->path, name,
                       m->rows, m->cols, rows, cols);
    if (!gt_dtype_is_weight(m->dtype))
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s.weight' has format %s, which is no format of a weight", w->path,
                       name, gt_dtype_name(m->dtype));
    return GT_OK;
}

static gt_status check_norm(const gt_weights *w, const char *name, const float *factor, int n)
{
    if (!factor) return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s.weight' is missing", w->path, name);
    for (int i = 0; i < n; i++)
        if (!isfinite(factor[i]))
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s.weight' holds a value that is not finite at %d", w->path, name,
                           i);
    return GT_OK;
}

gt_status gt_weights_check(const gt_weights *w)
{
    const gt_model_config *c = &w->config;
    char name[80];
    GT_TRY(gt_model_config_check(c, w->path));
    GT_TRY(check_matrix(w, "embed_tokens", &w->embed, c->vocab_size, c->hidden_size));
    GT_TRY(check_norm(w, "norm", w->final_norm, c->hidden_size));
    for (int l = 0; l < c->num_hidden_layers; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            int rows, cols;
            gt_proj_shape(c, (gt_proj)p, &rows, &cols);
            gt_weights_proj_name(name, l, (gt_proj)p);
            GT_TRY(check_matrix(w, name, &w->proj[l][p], rows, cols));
        }
        for (int n = 0; n < GT_NORM_COUNT; n++) {
            gt_weights_norm_name(name, l, (gt_norm)n);
            GT_TRY(check_norm(w, name, w->norm[l][n], gt_weights_norm_size(c, (gt_norm)n)));
        }
    }
    return GT_OK;
}
