#include "adapter_config.h"

#include "json_config.h"
#include "json_write.h"

#include <cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void names_free(gt_lora_names *n)
{
    for (size_t i = 0; i < n->count; i++) free(n->item[i]);
    free(n->item);
}

static void overrides_free(gt_lora_override *o, size_t count)
{
    for (size_t i = 0; i < count; i++) free(o[i].pattern);
    free(o);
}

void gt_lora_config_free(gt_lora_config *c)
{
    names_free(&c->targets);
    names_free(&c->exclude);
    names_free(&c->layers_pattern);
    overrides_free(c->rank_pattern, c->rank_patterns);
    overrides_free(c->alpha_pattern, c->alpha_patterns);
    free(c->layers);
    *c = (gt_lora_config){0};
}

/* Reading. */

typedef struct {
    const cJSON *root;
    const char *where;
} reader;

static gt_status wrong(const reader *r, const char *key, const char *expected)
{
    return GT_FAIL(GT_ERR_DATA, "%s: '%s' must be %s", r->where, key, expected);
}

static const cJSON *member(const reader *r, const char *key)
{
    return gt_config_get(r->root, key);
}

static gt_status read_bool(const reader *r, const char *key, bool *out)
{
    const cJSON *v = member(r, key);
    if (!v) return GT_OK;
    if (!cJSON_IsBool(v)) return wrong(r, key, "true or false");
    *out = cJSON_IsTrue(v);
    return GT_OK;
}

static gt_status read_number(const reader *r, const char *key, double *out)
{
    const cJSON *v = member(r, key);
    if (!v) return GT_OK;
    if (!cJSON_IsNumber(v)) return wrong(r, key, "a number");
    *out = v->valuedouble;
    return GT_OK;
}

static gt_status copy_string(const reader *r, const char *key, const cJSON *v, char **out)
{
    if (!cJSON_IsString(v)) return wrong(r, key, "text");
    *out = strdup(v->valuestring);
    return *out ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", r->where, key);
}

/* A list of names, or one string: a regular expression for targets, a name for layers_pattern. */
static gt_status read_names(const reader *r, const char *key, gt_lora_names *out)
{
    const cJSON *v = member(r, key);
    if (!v) return GT_OK;
    const bool one = cJSON_IsString(v);
    if (!one && !cJSON_IsArray(v)) return wrong(r, key, "text or a list of texts");
    const size_t count = one ? 1 : (size_t)cJSON_GetArraySize(v);
    if (count > GT_LORA_MAX_NAMES) return wrong(r, key, "a list of at most 1024 names");
    out->item = calloc(count + 1, sizeof *out->item);
    if (!out->item) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", r->where, key);
    out->is_regex = one;
    for (const cJSON *e = one ? v : v->child; out->count < count; e = e->next) {
        GT_TRY(copy_string(r, key, e, &out->item[out->count]));
        out->count++;
    }
    return GT_OK;
}

static gt_status read_overrides(const reader *r, const char *key, gt_lora_override **out, size_t *count)
{
    const cJSON *v = member(r, key);
    if (!v) return GT_OK;
    if (!cJSON_IsObject(v)) return wrong(r, key, "an object of patterns and numbers");
    const int patterns = cJSON_GetArraySize(v);
    if (patterns == 0) return GT_OK;
    if (patterns > GT_LORA_MAX_NAMES) return wrong(r, key, "an object of at most 1024 patterns");
    *out = calloc((size_t)patterns, sizeof **out);
    if (!*out) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", r->where, key);
    const cJSON *e;
    cJSON_ArrayForEach(e, v)
    {
        if (!cJSON_IsNumber(e)) return wrong(r, key, "an object of patterns and numbers");
        (*out)[*count].value = e->valuedouble;
        (*out)[*count].pattern = strdup(e->string);
        if (!(*out)[*count].pattern) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", r->where, key);
        (*count)++;
    }
    return GT_OK;
}

/* layers_to_transform: an integer or a list of them */
static gt_status read_layers(const reader *r, gt_lora_config *c)
{
    const cJSON *v = member(r, "layers_to_transform");
    if (!v) return GT_OK;
    const bool list = cJSON_IsArray(v);
    const size_t count = list ? (size_t)cJSON_GetArraySize(v) : 1;
    if (count > GT_MAX_LAYERS) return wrong(r, "layers_to_transform", "a list of at most 512 layers");
    c->layers = calloc(count + 1, sizeof *c->layers);
    if (!c->layers) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for layers_to_transform", r->where);
    for (const cJSON *e = list ? v->child : v; c->layer_count < count; e = e->next) {
        if (!gt_config_is_whole(e, 0, GT_MAX_LAYERS - 1))
            return wrong(r, "layers_to_transform", "a layer's number or a list of them");
        c->layers[c->layer_count++] = (int)e->valuedouble;
    }
    return GT_OK;
}

/* Whether a member says nothing: absent, null, false, an empty list or object. */
static bool is_empty(const cJSON *v)
{
    return !v || cJSON_IsFalse(v) || ((cJSON_IsArray(v) || cJSON_IsObject(v)) && !v->child);
}

/* Features that make another function than W x + s B A x with the base as it is. */
static gt_status refuse_features(const reader *r)
{
    static const struct {
        const char *key, *name;
    } features[] = {{"use_dora", "DoRA"},
                    {"lora_bias", "LoRA biases"},
                    {"fan_in_fan_out", "transposed weights"},
                    {"modules_to_save", "fully trained modules"},
                    {"trainable_token_indices", "trained token embeddings"},
                    {"target_parameters", "adapters of bare parameters"},
                    {"layer_replication", "replicated layers"},
                    {"use_qalora", "QALoRA"},
                    {"use_bdlora", "block-diagonal LoRA"},
                    {"alora_invocation_tokens", "activated LoRA"},
                    {"arrow_config", "Arrow routing"},
                    {"kasa_config", "KaSA"},
                    {"monteclora_config", "MonteCLoRA"},
                    {"velora_config", "VeLoRA"}};
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (!is_empty(member(r, features[i].key)))
            return GT_FAIL(GT_ERR_DATA, "%s: '%s' is set: adapters with %s are not supported", r->where,
                           features[i].key, features[i].name);
    const cJSON *type = member(r, "peft_type"), *bias = member(r, "bias"), *init = member(r, "init_lora_weights");
    if (type && !gt_config_is_string(type, "LORA"))
        return GT_FAIL(GT_ERR_DATA, "%s: peft_type is '%.40s'; only LORA adapters are supported", r->where,
                       cJSON_IsString(type) ? type->valuestring : "not text");
    if (bias && !gt_config_is_string(bias, "none"))
        return GT_FAIL(GT_ERR_DATA, "%s: bias is '%.40s'; Gemma 3 has no biases: expected \"none\"", r->where,
                       cJSON_IsString(bias) ? bias->valuestring : "not text");
    if (cJSON_IsString(init) && !gt_config_is_string(init, "gaussian") && !gt_config_is_string(init, "eva") &&
        !gt_config_is_string(init, "orthogonal"))
        return GT_FAIL(GT_ERR_DATA,
                       "%s: init_lora_weights '%.40s' goes with a changed base model, which this adapter alone does "
                       "not give; convert it to plain LoRA with PEFT first",
                       r->where, init->valuestring);
    return GT_OK;
}

/* How the values began, which no longer matters: kept for whoever writes the adapter again. */
static void read_init(const reader *r, gt_lora_config *c)
{
    const cJSON *init = member(r, "init_lora_weights");
    if (cJSON_IsFalse(init)) c->init = GT_INIT_RANDOM;
    if (gt_config_is_string(init, "gaussian")) c->init = GT_INIT_GAUSSIAN;
}

static gt_status read_all(const reader *r, gt_lora_config *c, char **base_model)
{
    GT_TRY(refuse_features(r));
    double rank = 8; /* PEFT's defaults */
    c->alpha = 8;
    GT_TRY(read_number(r, "r", &rank));
    if (!(rank >= 1 && rank <= 1e6) || rank != floor(rank)) return wrong(r, "r", "a positive integer");
    c->r = (int)rank;
    GT_TRY(read_number(r, "lora_alpha", &c->alpha));
    GT_TRY(read_number(r, "lora_dropout", &c->dropout));
    GT_TRY(read_bool(r, "use_rslora", &c->rslora));
    GT_TRY(read_names(r, "target_modules", &c->targets));
    if (c->targets.is_regex && strcasecmp(c->targets.item[0], "all-linear") == 0) {
        c->all_linear = true;
        names_free(&c->targets);
        c->targets = (gt_lora_names){0};
    }
    GT_TRY(read_names(r, "exclude_modules", &c->exclude));
    GT_TRY(read_names(r, "layers_pattern", &c->layers_pattern));
    if (c->layers_pattern.is_regex && !*c->layers_pattern.item[0]) { /* "": any name, as for PEFT */
        names_free(&c->layers_pattern);
        c->layers_pattern = (gt_lora_names){0};
    }
    c->layers_pattern.is_regex = false;
    read_init(r, c);
    GT_TRY(read_layers(r, c));
    GT_TRY(read_overrides(r, "rank_pattern", &c->rank_pattern, &c->rank_patterns));
    GT_TRY(read_overrides(r, "alpha_pattern", &c->alpha_pattern, &c->alpha_patterns));
    const cJSON *base = member(r, "base_model_name_or_path");
    return base ? copy_string(r, "base_model_name_or_path", base, base_model) : GT_OK;
}

gt_status gt_adapter_config_parse(gt_lora_config *c, char **base_model, const char *text, size_t size,
                                  const char *where)
{
    *c = (gt_lora_config){0};
    *base_model = NULL;
    cJSON *root;
    GT_TRY(gt_config_parse(&root, text, size, where));
    gt_status st = cJSON_IsObject(root) ? read_all(&(reader){root, where}, c, base_model)
                                        : GT_FAIL(GT_ERR_DATA, "%s: must be a JSON object", where);
    cJSON_Delete(root);
    return st;
}

/* Writing. */

static void add_names(gt_json_writer *w, gt_json_node *to, const char *key, const gt_lora_names *n)
{
    if (n->count == 0 || n->is_regex) {
        gt_json_add_text(w, to, key, n->count ? n->item[0] : NULL);
        return;
    }
    gt_json_node *list = gt_json_add_array(w, to, key);
    for (size_t i = 0; i < n->count; i++) gt_json_add_text(w, list, NULL, n->item[i]);
}

static void add_overrides(gt_json_writer *w, gt_json_node *to, const char *key, const gt_lora_override *o, size_t count)
{
    gt_json_node *patterns = gt_json_add_object(w, to, key);
    for (size_t i = 0; i < count; i++) gt_json_add_number(w, patterns, o[i].pattern, o[i].value, 17);
}

static void add_layers(gt_json_writer *w, gt_json_node *to, const gt_lora_config *c)
{
    if (c->layer_count == 0) {
        gt_json_add_null(w, to, "layers_to_transform");
        return;
    }
    gt_json_node *list = gt_json_add_array(w, to, "layers_to_transform");
    for (size_t i = 0; i < c->layer_count; i++) gt_json_add_int(w, list, NULL, c->layers[i]);
}

static void add_targets(gt_json_writer *w, gt_json_node *to, const gt_lora_config *c, const char *regex)
{
    if (regex || c->all_linear)
        gt_json_add_text(w, to, "target_modules", regex ? regex : "all-linear");
    else
        add_names(w, to, "target_modules", &c->targets);
}

static void add_init(gt_json_writer *w, gt_json_node *to, gt_init_lora init)
{
    if (init == GT_INIT_GAUSSIAN)
        gt_json_add_text(w, to, "init_lora_weights", "gaussian");
    else
        gt_json_add_bool(w, to, "init_lora_weights", init == GT_INIT_KAIMING);
}

gt_status gt_adapter_config_print(gt_text *text, const gt_lora_config *c, const char *base_model,
                                  const char *targets_regex)
{
    const gt_lora_config none = {0}; /* a regular expression already names the layers and leaves out what is excluded */
    const gt_lora_config *selection = targets_regex ? &none : c;
    gt_json_writer w = {0};
    gt_json_node *root = gt_json_begin(&w);
    add_overrides(&w, root, "alpha_pattern", c->alpha_pattern, c->alpha_patterns);
    gt_json_add_null(&w, root, "auto_mapping");
    gt_json_add_text(&w, root, "base_model_name_or_path", base_model);
    gt_json_add_text(&w, root, "bias", "none");
    add_names(&w, root, "exclude_modules", &selection->exclude);
    gt_json_add_bool(&w, root, "fan_in_fan_out", false);
    gt_json_add_bool(&w, root, "inference_mode", true);
    add_init(&w, root, c->init);
    add_names(&w, root, "layers_pattern", &selection->layers_pattern);
    add_layers(&w, root, selection);
    gt_json_add_number(&w, root, "lora_alpha", c->alpha, 17);
    gt_json_add_bool(&w, root, "lora_bias", false);
    gt_json_add_real(&w, root, "lora_dropout", c->dropout);
    gt_json_add_null(&w, root, "modules_to_save");
    gt_json_add_text(&w, root, "peft_type", "LORA");
    gt_json_add_int(&w, root, "r", c->r);
    add_overrides(&w, root, "rank_pattern", c->rank_pattern, c->rank_patterns);
    gt_json_add_null(&w, root, "revision");
    add_targets(&w, root, c, targets_regex);
    gt_json_add_text(&w, root, "task_type", "CAUSAL_LM");
    gt_json_add_bool(&w, root, "use_dora", false);
    gt_json_add_bool(&w, root, "use_rslora", c->rslora);
    return gt_json_end(&w, text, GT_JSON_PAGE, "adapter_config.json");
}
