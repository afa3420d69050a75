#include "tokenizer_source.h"

#include "fs.h"
#include "gguf.h"
#include "gtq.h"
#include "hub.h"
#include "text.h"
#include "weights_sources.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_JSON = 256 << 20, MAX_CONFIG = 64 << 20 };

static gt_status read_json(gt_tokenizer **out, const char *path)
{
    gt_map map = {0};
    GT_TRY(gt_map_open(&map, path));
    gt_status st = map.size > MAX_JSON ? GT_FAIL(GT_ERR_DATA, "%s: %zu bytes; a tokenizer.json has at most %d", path,
                                                 map.size, MAX_JSON)
                                       : gt_tokenizer_from_json(out, (const char *)map.data, map.size, path);
    gt_map_close(&map);
    return st;
}

static gt_status apply_config(gt_tokenizer *t, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    GT_TRY(gt_fs_read(&text, &size, path, MAX_CONFIG));
    gt_status st = gt_tokenizer_apply_config(t, text, size, path);
    free(text);
    return st;
}

static gt_status from_folder(gt_tokenizer **out, const char *folder)
{
    gt_tokenizer *t = NULL;
    gt_status st = GT_OK;
    char *json = gt_fs_join(folder, "tokenizer.json"), *config = gt_fs_join(folder, "tokenizer_config.json");
    if (!json || !config)
        st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
    else if (gt_fs_exists(json))
        st = read_json(&t, json);
    if (st == GT_OK && t && gt_fs_exists(config)) st = apply_config(t, config);
    free(json);
    free(config);
    if (st != GT_OK)
        gt_tokenizer_free(t);
    else
        *out = t;
    return st;
}

/* The vocabulary's arrays; piece texts stay in the map. */
typedef struct {
    const char **piece;
    size_t *size;
    float *score;
    int32_t *type;
} arrays;

static gt_status fill(arrays *a, const gt_gguf *g, gt_gguf_array tokens)
{
    const size_t n = (size_t)tokens.count;
    a->piece = calloc(n, sizeof *a->piece);
    a->size = calloc(n, sizeof *a->size);
    a->score = calloc(n, sizeof *a->score);
    a->type = calloc(n, sizeof *a->type);
    if (!a->piece || !a->size || !a->score || !a->type)
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu pieces", gt_gguf_path(g, 0), n);
    for (size_t i = 0; i < n; i++) gt_gguf_next_string(&tokens, &a->piece[i], &a->size[i]);
    GT_TRY(gt_gguf_copy_f32(g, "tokenizer.ggml.scores", a->score, n));
    return gt_gguf_copy_i32(g, "tokenizer.ggml.token_type", a->type, n);
}

static gt_status get_id(const gt_gguf *g, const char *key, int32_t *id)
{
    int64_t v = *id;
    GT_TRY(gt_gguf_get_int(g, key, &v));
    if (v < -1 || v > INT32_MAX)
        return GT_FAIL(GT_ERR_DATA, "%s: key '%s' is %" PRId64 ", expected a token's id", gt_gguf_path(g, 0), key, v);
    *id = (int32_t)v;
    return GT_OK;
}

static gt_status set_specials(gt_tokenizer *t, const gt_gguf *g)
{
    gt_tokenizer_specials s = *gt_tokenizer_get_specials(t);
    GT_TRY(get_id(g, "tokenizer.ggml.bos_token_id", &s.bos));
    GT_TRY(get_id(g, "tokenizer.ggml.eos_token_id", &s.eos));
    GT_TRY(get_id(g, "tokenizer.ggml.padding_token_id", &s.pad));
    GT_TRY(get_id(g, "tokenizer.ggml.unknown_token_id", &s.unk));
    GT_TRY(gt_gguf_get_bool(g, "tokenizer.ggml.add_bos_token", &s.add_bos));
    GT_TRY(gt_gguf_get_bool(g, "tokenizer.ggml.add_eos_token", &s.add_eos));
    if (gt_tokenizer_set_specials(t, &s) != GT_OK) return gt_error_prefix("%s", gt_gguf_path(g, 0));
    return GT_OK;
}

static gt_status from_vocabulary(gt_tokenizer **out, const gt_gguf *g)
{
    const char *where = gt_gguf_path(g, 0), *model = NULL;
    size_t model_size = 0;
    gt_gguf_array tokens;
    GT_TRY(gt_gguf_get_array(g, "tokenizer.ggml.tokens", &tokens));
    if (tokens.count == 0) return GT_OK; /* it brings none */
    GT_TRY(gt_gguf_get_string(g, "tokenizer.ggml.model", &model, &model_size));
    if (model && (model_size != 5 || memcmp(model, "llama", 5) != 0))
        return GT_FAIL(GT_ERR_DATA, "%s: tokenizer.ggml.model is '%.*s', expected 'llama'", where,
                       model_size > 60 ? 60 : (int)model_size, model);
    if (tokens.type != GT_GGUF_STRING || tokens.count > GT_TOKENIZER_MAX_PIECES)
        return GT_FAIL(GT_ERR_DATA, "%s: tokenizer.ggml.tokens has %" PRIu64 " elements, expected at most %d strings",
                       where, tokens.count, GT_TOKENIZER_MAX_PIECES);
    arrays a = {0};
    gt_tokenizer *t = NULL;
    gt_status st = fill(&a, g, tokens);
    if (st == GT_OK)
        st = gt_tokenizer_from_vocab(
            &t,
            &(gt_vocab){
                .piece = a.piece, .size = a.size, .score = a.score, .type = a.type, .count = (size_t)tokens.count},
            where);
    if (st == GT_OK) st = set_specials(t, g);
    free(a.piece);
    free(a.size);
    free(a.score);
    free(a.type);
    if (st != GT_OK)
        gt_tokenizer_free(t);
    else
        *out = t;
    return st;
}

static gt_status from_gguf(gt_tokenizer **out, const char *path)
{
    gt_gguf *g = NULL;
    GT_TRY(gt_gguf_open(&g, path));
    gt_status st = from_vocabulary(out, g);
    gt_gguf_close(g);
    return st;
}

static void close_base(void *base)
{
    gt_weights_close(base);
}

/* The packed tokenizer is used where it is mapped: the base stays open with it. */
static gt_status from_gtq(gt_tokenizer **out, const char *path)
{
    gt_weights *w = NULL;
    GT_TRY(gt_weights_open_gtq(&w, path));
    gt_tokenizer *t = NULL;
    const gt_status st = w->packed->tokenizer
                             ? gt_tokenizer_from_packed(&t, w->packed->tokenizer, w->packed->tokenizer_bytes, path)
                             : GT_OK;
    if (!t) {
        gt_weights_close(w);
        return st;
    }
    gt_tokenizer_keep(t, w, close_base);
    *out = t;
    return GT_OK;
}

/* The folder of a path that names its tokenizer.json, malloc'ed; NULL if it names something else. */
static char *folder_of_json(const char *path)
{
    static const char name[] = "tokenizer.json";
    const size_t n = strlen(path), m = sizeof name - 1;
    if (!gt_ends_with(path, name)) return NULL;
    if (n == m) return strdup(".");
    return path[n - m - 1] == '/' ? strndup(path, n - m) : NULL;
}

static gt_status open_source(gt_tokenizer **out, const char *path, bool folder)
{
    if (folder) return from_folder(out, path);
    switch (gt_model_file_kind(path)) {
    case GT_MODEL_GGUF:
        return from_gguf(out, path);
    case GT_MODEL_GTQ:
        return from_gtq(out, path);
    case GT_MODEL_OTHER:
        break;
    }
    char *parent = folder_of_json(path);
    if (!parent)
        return GT_FAIL(GT_ERR_DATA, "%s: not a model: expected a Hugging Face folder, a .gguf or a .gtq file", path);
    gt_status st = from_folder(out, parent);
    free(parent);
    return st;
}

gt_status gt_tokenizer_source_open(gt_tokenizer **out, const char *model)
{
    char *path = NULL;
    bool folder = false;
    gt_tokenizer *t = NULL;
    GT_TRY(gt_model_resolve(&path, &folder, model));
    gt_status st = open_source(&t, path, folder);
    free(path);
    if (st == GT_OK) *out = t;
    return st;
}

gt_status gt_tokenizer_source_need(gt_tokenizer **out, const char *model)
{
    gt_tokenizer *t = NULL;
    GT_TRY(gt_tokenizer_source_open(&t, model));
    if (!t)
        return GT_FAIL(
            GT_ERR_CONFIG,
            "%s: it brings no tokenizer (a folder needs a tokenizer.json: copy the one of the model it was made "
            "from); only rows of ids can be used without",
            model);
    *out = t;
    return GT_OK;
}
