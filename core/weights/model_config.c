#include "model_config.h"

#include "json_config.h"

#include <cJSON.h>
#include <math.h>

/* Class defaults of Gemma3TextConfig: released files leave out every key that equals them (docs/model/gemma3.md section
 * 3).
 */
static const gt_model_config defaults = {
    .vocab_size = 262208,
    .hidden_size = 2304,
    .intermediate_size = 9216,
    .num_hidden_layers = 26,
    .num_attention_heads = 8,
    .num_key_value_heads = 4,
    .head_dim = 256,
    .sliding_window = 4096,
    .max_position_embeddings = 131072,
    .rms_norm_eps = 1e-6f,
    .query_pre_attn_scalar = 256,
    .rope_theta = 1e6,
    .rope_local_base_freq = 1e4,
    .rope_factor = 1,
    .bos_id = 2,
    .pad_id = 0,
    .eos_id = {1},
    .eos_count = 1,
};

enum { DEFAULT_PATTERN = 6 };

typedef struct {
    const cJSON *object;
    const char *where;
} reader;

static const cJSON *get(const reader *r, const char *key)
{
    return gt_config_get(r->object, key);
}

static gt_status read_int(const reader *r, const char *key, int low, int high, int *out)
{
    const cJSON *v = get(r, key);
    if (!v) return GT_OK;
    if (!gt_config_is_whole(v, low, high))
        return GT_FAIL(GT_ERR_DATA, "%s: %s is %s, expected a whole number from %d to %d", r->where, key,
                       cJSON_IsNumber(v) ? "out of range" : "of a wrong type", low, high);
    *out = (int)v->valuedouble;
    return GT_OK;
}

static gt_status read_number(const reader *r, const char *key, double *out)
{
    const cJSON *v = get(r, key);
    if (!v) return GT_OK;
    if (!cJSON_IsNumber(v) || !(v->valuedouble > 0) || v->valuedouble > 1e12)
        return GT_FAIL(GT_ERR_DATA, "%s: %s must be a positive number", r->where, key);
    *out = v->valuedouble;
    return GT_OK;
}

/* A key that every Gemma 3 leaves at one value: any other one means a feature that is not computed here. */
static gt_status require_bool(const reader *r, const char *key, bool value)
{
    const cJSON *v = get(r, key);
    if (!v || (cJSON_IsBool(v) && cJSON_IsTrue(v) == value)) return GT_OK;
    return GT_FAIL(GT_ERR_DATA, "%s: %s must be %s: Gemma 3 has no other", r->where, key, value ? "true" : "false");
}

static gt_status require_absent(const reader *r, const char *key)
{
    if (!get(r, key)) return GT_OK;
    return GT_FAIL(GT_ERR_DATA, "%s: %s must be null: Gemma 3 has none, and it is not computed here", r->where, key);
}

static gt_status read_sizes(const reader *r, gt_model_config *c)
{
    GT_TRY(read_int(r, "vocab_size", 1, 1 << 24, &c->vocab_size));
    GT_TRY(read_int(r, "hidden_size", 1, 1 << 17, &c->hidden_size));
    GT_TRY(read_int(r, "intermediate_size", 1, 1 << 20, &c->intermediate_size));
    GT_TRY(read_int(r, "num_hidden_layers", 1, GT_MAX_LAYERS, &c->num_hidden_layers));
    GT_TRY(read_int(r, "num_attention_heads", 1, 1024, &c->num_attention_heads));
    GT_TRY(read_int(r, "num_key_value_heads", 1, 1024, &c->num_key_value_heads));
    GT_TRY(read_int(r, "head_dim", 2, 1024, &c->head_dim));
    GT_TRY(read_int(r, "sliding_window", 1, 1 << 30, &c->sliding_window));
    GT_TRY(read_int(r, "max_position_embeddings", 1, 1 << 30, &c->max_position_embeddings));
    return gt_model_config_check(c, r->where);
}

gt_status gt_model_config_check(const gt_model_config *c, const char *where)
{
    if (c->num_hidden_layers < 1 || c->num_hidden_layers > GT_MAX_LAYERS)
        return GT_FAIL(GT_ERR_DATA, "%s: %d layers, expected 1 to %d", where, c->num_hidden_layers, GT_MAX_LAYERS);
    if (c->num_attention_heads % c->num_key_value_heads != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: num_attention_heads %d is no multiple of num_key_value_heads %d", where,
                       c->num_attention_heads, c->num_key_value_heads);
    if (c->head_dim % 2 != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: head_dim %d is odd: rotation needs pairs", where, c->head_dim);
    return GT_OK;
}

static gt_status read_constants(const reader *r, gt_model_config *c)
{
    double eps = c->rms_norm_eps;
    GT_TRY(read_number(r, "rms_norm_eps", &eps));
    if (!(eps < 1) || !(eps >= 1e-30)) /* as a float it must not vanish */
        return GT_FAIL(GT_ERR_DATA, "%s: rms_norm_eps %g must be from 1e-30 to below 1", r->where, eps);
    c->rms_norm_eps = (float)eps;
    GT_TRY(read_number(r, "query_pre_attn_scalar", &c->query_pre_attn_scalar));

    const cJSON *act = get(r, "hidden_activation");
    if (act && !gt_config_is_string(act, "gelu_pytorch_tanh"))
        return GT_FAIL(GT_ERR_DATA, "%s: hidden_activation '%.60s' must be 'gelu_pytorch_tanh'", r->where,
                       gt_config_shown(act));
    GT_TRY(require_bool(r, "attention_bias", false));
    GT_TRY(require_bool(r, "tie_word_embeddings", true));
    GT_TRY(require_absent(r, "attn_logit_softcapping"));
    GT_TRY(require_absent(r, "final_logit_softcapping"));
    const cJSON *dropout = get(r, "attention_dropout");
    if (dropout && (!cJSON_IsNumber(dropout) || dropout->valuedouble != 0))
        return GT_FAIL(GT_ERR_DATA, "%s: attention_dropout must be 0: Gemma 3 has no other", r->where);

    const cJSON *both = get(r, "use_bidirectional_attention");
    if (both && !cJSON_IsBool(both))
        return GT_FAIL(GT_ERR_DATA, "%s: use_bidirectional_attention must be true or false", r->where);
    c->bidirectional = cJSON_IsTrue(both);
    return GT_OK;
}

/* layer_types wins, then the pattern under its two names, then every sixth layer. */
static gt_status read_layer_types(const reader *r, gt_model_config *c)
{
    const cJSON *types = get(r, "layer_types");
    if (types) {
        if (!cJSON_IsArray(types) || cJSON_GetArraySize(types) != c->num_hidden_layers)
            return GT_FAIL(GT_ERR_DATA, "%s: layer_types must be a list of num_hidden_layers = %d entries", r->where,
                           c->num_hidden_layers);
        int i = 0;
        const cJSON *t;
        cJSON_ArrayForEach(t, types)
        {
            const bool full = gt_config_is_string(t, "full_attention");
            if (!full && !gt_config_is_string(t, "sliding_attention"))
                return GT_FAIL(GT_ERR_DATA, "%s: layer_types[%d] must be \"sliding_attention\" or \"full_attention\"",
                               r->where, i);
            c->layer_is_full[i++] = full;
        }
        return GT_OK;
    }
    int pattern = DEFAULT_PATTERN;
    GT_TRY(read_int(r, get(r, "sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern", 1,
                    GT_MAX_LAYERS, &pattern));
    for (int i = 0; i < c->num_hidden_layers; i++) c->layer_is_full[i] = (i + 1) % pattern == 0;
    return GT_OK;
}

/* One set of rotation parameters: type (absent: default) and, for "linear", the factor. */
static gt_status read_scaling(const reader *r, const char *name, double *factor)
{
    const cJSON *type = get(r, "rope_type");
    if (!type) type = get(r, "type");
    *factor = 1;
    if (!type || gt_config_is_string(type, "default")) return GT_OK;
    if (!gt_config_is_string(type, "linear"))
        return GT_FAIL(GT_ERR_DATA, "%s: %s: rope type '%.60s' is not known: Gemma 3 has \"default\" and \"linear\"",
                       r->where, name, gt_config_shown(type));
    if (!get(r, "factor")) return GT_FAIL(GT_ERR_DATA, "%s: %s: rope type \"linear\" without a factor", r->where, name);
    return read_number(r, "factor", factor);
}

static gt_status rope_object(const cJSON *v, const char *where, const char *name, reader *out)
{
    if (!cJSON_IsObject(v)) return GT_FAIL(GT_ERR_DATA, "%s: %s must be an object", where, name);
    *out = (reader){v, where};
    return GT_OK;
}

/* rope_parameters as transformers 5 writes it; wins over the older keys. */
static gt_status read_rope_parameters(const reader *r, const cJSON *v, gt_model_config *c)
{
    reader all = *r, kind = *r;
    double local = 1;
    GT_TRY(rope_object(v, r->where, "rope_parameters", &all));
    const cJSON *full = get(&all, "full_attention"), *sliding = get(&all, "sliding_attention");
    if (!full && !sliding)
        return GT_FAIL(GT_ERR_DATA, "%s: rope_parameters has neither full_attention nor sliding_attention", r->where);
    if (full) {
        GT_TRY(rope_object(full, r->where, "rope_parameters.full_attention", &kind));
        GT_TRY(read_number(&kind, "rope_theta", &c->rope_theta));
        GT_TRY(read_scaling(&kind, "rope_parameters.full_attention", &c->rope_factor));
    }
    if (sliding) {
        GT_TRY(rope_object(sliding, r->where, "rope_parameters.sliding_attention", &kind));
        GT_TRY(read_number(&kind, "rope_theta", &c->rope_local_base_freq));
        GT_TRY(read_scaling(&kind, "rope_parameters.sliding_attention", &local));
    }
    if (local != 1)
        return GT_FAIL(GT_ERR_DATA, "%s: rope_parameters.sliding_attention.factor %g: sliding layers are never scaled",
                       r->where, local);
    return GT_OK;
}

static gt_status read_rope(const reader *r, gt_model_config *c)
{
    const cJSON *v = get(r, "rope_parameters");
    if (v) return read_rope_parameters(r, v, c);
    GT_TRY(read_number(r, "rope_theta", &c->rope_theta));
    GT_TRY(read_number(r, "rope_local_base_freq", &c->rope_local_base_freq));
    v = get(r, "rope_scaling");
    if (!v) return GT_OK;
    reader scaling = *r;
    GT_TRY(rope_object(v, r->where, "rope_scaling", &scaling));
    return read_scaling(&scaling, "rope_scaling", &c->rope_factor);
}

static gt_status read_eos(const reader *r, gt_model_config *c)
{
    const cJSON *v = get(r, "eos_token_id");
    if (!v) return GT_OK;
    const cJSON *e = cJSON_IsArray(v) ? v->child : v;
    const int count = cJSON_IsArray(v) ? cJSON_GetArraySize(v) : 1;
    if (count < 1 || count > GT_MAX_EOS)
        return GT_FAIL(GT_ERR_DATA, "%s: eos_token_id lists %d ids, expected 1 to %d", r->where, count, GT_MAX_EOS);
    int n = 0;
    for (; n < count; e = e->next) {
        if (!gt_config_is_whole(e, 0, INT32_MAX))
            return GT_FAIL(GT_ERR_DATA, "%s: eos_token_id must be a token id or a list of them", r->where);
        c->eos_id[n++] = (int32_t)e->valuedouble;
    }
    c->eos_count = n;
    return GT_OK;
}

static gt_status read_ids(const reader *r, gt_model_config *c)
{
    GT_TRY(read_int(r, "bos_token_id", 0, INT32_MAX, &c->bos_id));
    GT_TRY(read_int(r, "pad_token_id", 0, INT32_MAX, &c->pad_id));
    return read_eos(r, c);
}

/* Which object holds the text model's fields: text_config if there is one, whatever architectures say. */
static gt_status find_text(const reader *top, reader *text, bool *multimodal)
{
    const cJSON *inner = get(top, "text_config"), *outer_type = get(top, "model_type");
    *multimodal = inner != NULL;
    *text = *top;
    if (inner) {
        if (!cJSON_IsObject(inner)) return GT_FAIL(GT_ERR_DATA, "%s: text_config must be an object", top->where);
        text->object = inner;
        if (outer_type && !gt_config_is_string(outer_type, "gemma3"))
            return GT_FAIL(GT_ERR_DATA, "%s: model_type '%.60s' with a text_config, expected 'gemma3': not a Gemma 3",
                           top->where, gt_config_shown(outer_type));
    }
    const cJSON *type = get(text, "model_type");
    if (!type && inner && outer_type) return GT_OK; /* the outer type has vouched */
    if (!type)
        return GT_FAIL(GT_ERR_DATA, "%s: no model_type, expected 'gemma3_text' or 'gemma3' with a text_config",
                       top->where);
    if (!gt_config_is_string(type, "gemma3_text"))
        return GT_FAIL(GT_ERR_DATA,
                       "%s: model_type '%.60s' is not supported, expected 'gemma3_text' or 'gemma3' with a "
                       "text_config",
                       top->where, gt_config_shown(type));
    return GT_OK;
}

static gt_status read_config(gt_model_config *c, const cJSON *root, const char *where)
{
    const reader top = {root, where};
    reader text;
    if (!cJSON_IsObject(root)) return GT_FAIL(GT_ERR_DATA, "%s: not a JSON object", where);
    GT_TRY(find_text(&top, &text, &c->multimodal));
    GT_TRY(read_sizes(&text, c));
    GT_TRY(read_constants(&text, c));
    GT_TRY(read_layer_types(&text, c));
    GT_TRY(read_rope(&text, c));
    GT_TRY(read_ids(&text, c));
    if (c->multimodal) { /* the outer ids are those that generation uses */
        GT_TRY(read_ids(&top, c));
        GT_TRY(require_bool(&top, "tie_word_embeddings", true));
    }
    return GT_OK;
}

gt_status gt_model_config_parse(gt_model_config *out, const char *text, size_t bytes, const char *where)
{
    cJSON *root;
    gt_model_config c = defaults;
    GT_TRY(gt_config_parse(&root, text, bytes, where));
    gt_status st = read_config(&c, root, where);
    cJSON_Delete(root);
    if (st == GT_OK) *out = c;
    return st;
}

gt_status gt_model_config_parse_generation(gt_model_config *c, const char *text, size_t bytes, const char *where)
{
    cJSON *root;
    GT_TRY(gt_config_parse(&root, text, bytes, where));
    gt_model_config with = *c;
    gt_status st = cJSON_IsObject(root) ? read_eos(&(reader){root, where}, &with)
                                        : GT_FAIL(GT_ERR_DATA, "%s: not a JSON object", where);
    cJSON_Delete(root);
    if (st == GT_OK) *c = with;
    return st;
}
