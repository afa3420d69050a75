#include "merge.h"

#include "checked.h"
#include "decode.h"
#include "hf_folder.h"
#include "hf_norms.h"
#include "nf4.h"
#include "output_folder.h"
#include "signals.h"
#include "text.h"
#include "weights_sources.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILE_BYTES = 4 << 20, CHUNK = 1024 };

typedef struct {
    const gt_weights *w;
    const gt_merge_adapter *adapter; /* NULL: none */
    size_t *begin;                   /* [layers * GT_PROJ_COUNT] offset of each A in param */
    gt_hf_tensor *tensor;
    size_t count;
    uint16_t *tile;
    gt_pool *pool;
} merger;

/* A tile of rows being made. */
typedef struct {
    const gt_matrix *m;
    const float *a, *b; /* NULL: no adapter here */
    int r;
    float scaling;
    int row; /* the tile's first */
    uint16_t *out;
    atomic_int bad;
} tile_job;

static void read_values(float *out, const gt_matrix *m, size_t first, size_t count)
{
    if (gt_dtype_fourbit(m->dtype)) {
        gt_nf4_dequantize(out, m, first, count);
        return;
    }
    double value[CHUNK];
    gt_decode_exact(value, m, first, count);
    for (size_t i = 0; i < count; i++) out[i] = (float)value[i];
}

static void make_row(void *context, int task, int worker)
{
    (void)worker;
    tile_job *j = context;
    const size_t cols = (size_t)j->m->cols, row = (size_t)(j->row + task);
    bool finite = true;
    for (size_t c = 0; c < cols; c += CHUNK) {
        float value[CHUNK], delta[CHUNK] = {0};
        const size_t n = gt_min_size(CHUNK, cols - c);
        read_values(value, j->m, row * cols + c, n);
        for (int k = 0; k < j->r; k++) {
            const float b = j->b[row * (size_t)j->r + (size_t)k], *a = j->a + (size_t)k * cols + c;
            for (size_t i = 0; i < n; i++) delta[i] += b * a[i];
        }
        uint16_t *out = j->out + (size_t)task * cols + c;
        for (size_t i = 0; i < n; i++) {
            const float sum = j->r ? value[i] + delta[i] * j->scaling : value[i];
            finite &= isfinite(sum) != 0;
            out[i] = gt_f32_to_bf16(sum);
        }
    }
    if (!finite) atomic_store(&j->bad, 1);
}

static gt_status produce(void *user, const gt_hf_tensor *t, gt_safetensors_writer *out)
{
    const merger *g = user;
    GT_TRY(gt_signals_check());
    if (t->module < 0) return gt_hf_produce_plain(g->w, t, out);
    const gt_matrix *m = gt_weights_slot(g->w, t->module);
    tile_job j = {.m = m, .out = g->tile};
    if (g->adapter && g->adapter->rank[t->module]) {
        j.r = g->adapter->rank[t->module];
        j.scaling = g->adapter->scaling[t->module];
        j.a = g->adapter->param + g->begin[t->module];
        j.b = j.a + (size_t)j.r * (size_t)m->cols;
    }
    const int rows = gt_max_int(1, (int)(TILE_BYTES / (2 * (size_t)m->cols)));
    for (int row = 0; row < m->rows; row += rows) {
        const int n = gt_min_int(rows, m->rows - row);
        j.row = row;
        gt_pool_run(g->pool, n, make_row, &j);
        if (atomic_load(&j.bad)) return GT_FAIL(GT_ERR_DATA, "'%s' would hold a value that is not finite", t->name);
        GT_TRY(gt_safetensors_write(out, g->tile, (size_t)n * (size_t)m->cols * 2));
    }
    return GT_OK;
}

static gt_status plan(merger *g)
{
    const gt_model_config *c = &g->w->config;
    const size_t matrices = (size_t)gt_slot_count(c);
    size_t widest = TILE_BYTES, at = 0;
    g->tensor = calloc(matrices + GT_HF_PLAIN_TENSORS(c), sizeof *g->tensor);
    g->begin = calloc(matrices, sizeof *g->begin);
    if (!g->tensor || !g->begin) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a list of its tensors", g->w->path);
    g->count = gt_hf_plain_tensors(g->tensor, g->w, GT_BF16);
    for (size_t i = 0; i < matrices; i++) {
        const gt_slot slot = gt_slot_at((int)i);
        int rows, cols;
        char name[80];
        gt_proj_shape(c, slot.proj, &rows, &cols);
        gt_weights_proj_name(name, slot.layer, slot.proj);
        gt_hf_tensor *t = &g->tensor[g->count++];
        *t = (gt_hf_tensor){.dtype = GT_BF16, .rank = 2, .shape = {(uint64_t)rows, (uint64_t)cols}, .module = (int)i};
        snprintf(t->name, sizeof t->name, "%s%s.weight", gt_hf_prefix(c), name);
        widest = gt_max_size(widest, 2 * (size_t)cols);
        g->begin[i] = at;
        if (g->adapter) at += (size_t)g->adapter->rank[i] * ((size_t)rows + (size_t)cols);
    }
    g->tile = malloc(widest);
    return g->tile ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "no memory for a tile of %zu bytes", widest);
}

/* The note as an object that transformers passes over: pairs of names and texts, NULL behind the last. */
static void add_note(gt_json_writer *w, gt_json_node *root, const void *note)
{
    const char *const *pair = note;
    gt_json_node *object = gt_json_add_object(w, root, "gemtune");
    for (; pair[0]; pair += 2) gt_json_add_text(w, object, pair[0], pair[1]);
}

gt_status gt_merge_write(const char *folder, const gt_weights *w, const gt_merge_adapter *adapter,
                         const char *const *note, const gt_tokenizer *tokenizer, bool replace, gt_pool *pool)
{
    merger g = {.w = w, .adapter = adapter, .pool = pool};
    gt_output_folder out = {0};
    gt_text config = {0};
    gt_status st = gt_output_folder_open(&out, folder, replace);
    if (st == GT_OK) st = plan(&g);
    if (st == GT_OK)
        st = gt_model_config_write(&config, &w->config, "bfloat16", note && note[0] ? add_note : NULL, note);
    if (st == GT_OK) st = gt_hf_write_tensors(out.tmp, g.tensor, g.count, GT_HF_SHARD_BYTES, note, produce, &g);
    if (st == GT_OK) st = gt_hf_write_small_files(out.tmp, w, &config, tokenizer);
    if (st == GT_OK)
        st = gt_output_folder_publish(&out);
    else
        gt_output_folder_abandon(&out);
    free(g.tensor);
    free(g.begin);
    free(g.tile);
    gt_text_free(&config);
    return st;
}
