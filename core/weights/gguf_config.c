#include "gguf_config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LAYERS_27B = 62 };

typedef struct {
    const gt_gguf *g;
    const char *arch; /* "gemma3" or "gemma-embedding": keys begin with it */
    const char *where;
    char key[96];
} reader;

static const char *key(reader *r, const char *name)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->arch, name);
    return r->key;
}

static gt_status read_int(reader *r, const char *name, bool required, int low, int high, int *out)
{
    int64_t v = *out;
    key(r, name);
    if (required && !gt_gguf_has(r->g, r->key))
        return GT_FAIL(GT_ERR_DATA, "%s: key '%s' is missing", r->where, r->key);
    GT_TRY(gt_gguf_get_int(r->g, r->key, &v));
    if (v < low || v > high)
        return GT_FAIL(GT_ERR_DATA, "%s: key '%s' is %" PRId64 ", expected %d to %d", r->where, r->key, v, low, high);
    *out = (int)v;
    return GT_OK;
}

static gt_status read_number(reader *r, const char *name, double *out)
{
    double v = *out;
    GT_TRY(gt_gguf_get_double(r->g, key(r, name), &v));
    if (!isfinite(v) || !(v > 0) || v > 1e12)
        return GT_FAIL(GT_ERR_DATA, "%s: key '%s' is %g, expected a positive number", r->where, r->key, v);
    *out = v;
    return GT_OK;
}

static gt_status read_architecture(reader *r)
{
    static const char *const known[] = {"gemma3", "gemma-embedding"};
    const char *text = "";
    size_t size = 0;
    GT_TRY(gt_gguf_get_string(r->g, "general.architecture", &text, &size));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (size == strlen(known[i]) && memcmp(text, known[i], size) == 0) r->arch = known[i];
    if (!r->arch)
        return GT_FAIL(GT_ERR_DATA, "%s: general.architecture is '%.*s', expected 'gemma3' or 'gemma-embedding'",
                       r->where, size > 60 ? 60 : (int)size, text);
    return GT_OK;
}

static gt_status read_sizes(reader *r, gt_model_config *c)
{
    int value_length = 0;
    GT_TRY(read_int(r, "context_length", false, 1, 1 << 30, &c->max_position_embeddings));
    GT_TRY(read_int(r, "embedding_length", true, 1, 1 << 17, &c->hidden_size));
    GT_TRY(read_int(r, "block_count", true, 1, GT_MAX_LAYERS, &c->num_hidden_layers));
    GT_TRY(read_int(r, "feed_forward_length", true, 1, 1 << 20, &c->intermediate_size));
    GT_TRY(read_int(r, "attention.head_count", true, 1, 1024, &c->num_attention_heads));
    c->num_key_value_heads = c->num_attention_heads;
    GT_TRY(read_int(r, "attention.head_count_kv", false, 1, 1024, &c->num_key_value_heads));
    c->head_dim = c->hidden_size / c->num_attention_heads;
    GT_TRY(read_int(r, "attention.key_length", false, 2, 1024, &c->head_dim));
    value_length = c->head_dim;
    GT_TRY(read_int(r, "attention.value_length", false, 2, 1024, &value_length));
    if (value_length != c->head_dim)
        return GT_FAIL(GT_ERR_DATA, "%s: key '%s' is %d, attention.key_length %d: Gemma 3 has one head size", r->where,
                       r->key, value_length, c->head_dim);
    GT_TRY(read_int(r, "attention.sliding_window", true, 1, 1 << 30, &c->sliding_window));
    return gt_model_config_check(c, r->where);
}

static gt_status read_pattern(reader *r, gt_model_config *c)
{
    int pattern = 6;
    GT_TRY(read_int(r, "attention.sliding_window_pattern", false, 1, GT_MAX_LAYERS, &pattern));
    for (int i = 0; i < c->num_hidden_layers; i++) c->layer_is_full[i] = (i + 1) % pattern == 0;
    return GT_OK;
}

static gt_status read_constants(reader *r, gt_model_config *c)
{
    double eps = 1e-6, cap = 0;
    const char *type = "none";
    size_t size = 4;
    GT_TRY(read_number(r, "attention.layer_norm_rms_epsilon", &eps));
    if (!(eps < 1) || !(eps >= 1e-30))
        return GT_FAIL(GT_ERR_DATA, "%s: key '%s' is %g, expected 1e-30 to below 1", r->where, r->key, eps);
    c->rms_norm_eps = (float)eps;
    c->rope_theta = 1e6;
    c->rope_local_base_freq = 1e4;
    c->rope_factor = 1;
    GT_TRY(read_number(r, "rope.freq_base", &c->rope_theta));
    GT_TRY(read_number(r, "rope.freq_base_swa", &c->rope_local_base_freq));
    GT_TRY(gt_gguf_get_string(r->g, key(r, "rope.scaling.type"), &type, &size));
    if (size == 6 && memcmp(type, "linear", 6) == 0)
        GT_TRY(read_number(r, "rope.scaling.factor", &c->rope_factor));
    else if (size != 4 || memcmp(type, "none", 4) != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: key '%s' is '%.*s', expected 'linear' or 'none'", r->where, r->key,
                       size > 60 ? 60 : (int)size, type);
    GT_TRY(gt_gguf_get_double(r->g, key(r, "final_logit_softcapping"), &cap));
    if (cap != 0) return GT_FAIL(GT_ERR_DATA, "%s: key '%s' is %g: Gemma 3 has no soft-capping", r->where, r->key, cap);
    c->query_pre_attn_scalar = c->num_hidden_layers == LAYERS_27B
                                   ? (double)c->hidden_size / (double)c->num_attention_heads
                                   : (double)c->head_dim;
    return GT_OK;
}

static gt_status read_id(reader *r, const char *name, int64_t *out)
{
    GT_TRY(gt_gguf_get_int(r->g, name, out));
    if (*out < -1 || *out > INT32_MAX)
        return GT_FAIL(GT_ERR_DATA, "%s: key '%s' is %" PRId64 ", expected a token's id", r->where, name, *out);
    return GT_OK;
}

/* What ends an answer: eos and, if named, the end of a turn. A chat model's file names <end_of_turn> (106) as eos;
 * <eos> (1) then ends as well, as in its generation_config.json. */
static gt_status read_ids(reader *r, gt_model_config *c)
{
    int64_t bos = 2, pad = 0, eos = 1, eot = -1;
    GT_TRY(read_id(r, "tokenizer.ggml.bos_token_id", &bos));
    GT_TRY(read_id(r, "tokenizer.ggml.padding_token_id", &pad));
    GT_TRY(read_id(r, "tokenizer.ggml.eos_token_id", &eos));
    GT_TRY(read_id(r, "tokenizer.ggml.eot_token_id", &eot));
    c->bos_id = (int32_t)bos;
    c->pad_id = (int32_t)pad;
    c->eos_count = 0;
    if (eos == 106) c->eos_id[c->eos_count++] = 1;
    if (eos >= 0) c->eos_id[c->eos_count++] = (int32_t)eos;
    if (eot >= 0 && eot != eos) c->eos_id[c->eos_count++] = (int32_t)eot;
    return GT_OK;
}

gt_status gt_model_config_from_gguf(gt_model_config *out, const gt_gguf *g)
{
    gt_model_config c = {.max_position_embeddings = 131072};
    reader r = {.g = g, .where = gt_gguf_path(g, 0)};
    GT_TRY(read_architecture(&r));
    GT_TRY(read_sizes(&r, &c));
    GT_TRY(read_pattern(&r, &c));
    GT_TRY(read_constants(&r, &c));
    GT_TRY(read_ids(&r, &c));
    c.bidirectional = strcmp(r.arch, "gemma-embedding") == 0;
    const gt_gguf_tensor *e = gt_gguf_find(g, "token_embd.weight");
    if (!e || e->rank != 2 || e->dim[1] > 1 << 24)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor 'token_embd.weight' is %s", r.where,
                       e ? "no matrix of at most 16777216 rows" : "missing");
    c.vocab_size = (int)e->dim[1];
    *out = c;
    return GT_OK;
}
