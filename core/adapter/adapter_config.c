#include "adapter_config.h"

#include "json.h"

#include <math.h>
#include <stdio.h>
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
    const gt_json *root;
    const char *where;
} reader;

static gt_status wrong(const reader *r, const char *key, const char *expected)
{
    return GT_FAIL(GT_ERR_DATA, "%s: '%s' must be %s", r->where, key, expected);
}

/* The member, or NULL when it is absent or null. */
static const gt_json *member(const reader *r, const char *key)
{
    const gt_json *v = gt_json_get(r->root, key);
    return v && v->type != GT_JSON_NULL ? v : NULL;
}

static gt_status read_bool(const reader *r, const char *key, bool *out)
{
    const gt_json *v = member(r, key);
    if (!v) return GT_OK;
    if (v->type != GT_JSON_TRUE && v->type != GT_JSON_FALSE) return wrong(r, key, "true or false");
    *out = v->type == GT_JSON_TRUE;
    return GT_OK;
}

static gt_status read_number(const reader *r, const char *key, double *out)
{
    const gt_json *v = member(r, key);
    if (!v) return GT_OK;
    if (v->type != GT_JSON_NUMBER || !isfinite(v->number)) return wrong(r, key, "a number");
    *out = v->number;
    return GT_OK;
}

static gt_status copy_string(const reader *r, const char *key, const gt_json *v, char **out)
{
    if (v->type != GT_JSON_STRING || !gt_json_c_string(v)) return wrong(r, key, "text");
    *out = strdup(v->string);
    return *out ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", r->where, key);
}

/* A list of names, or one string: a regular expression for targets, a name for layers_pattern. */
static gt_status read_names(const reader *r, const char *key, gt_lora_names *out)
{
    const gt_json *v = member(r, key);
    if (!v) return GT_OK;
    if (v->type != GT_JSON_STRING && v->type != GT_JSON_ARRAY) return wrong(r, key, "text or a list of texts");
    const size_t count = v->type == GT_JSON_STRING ? 1 : v->count;
    if (count > GT_LORA_MAX_NAMES) return wrong(r, key, "a list of at most 1024 names");
    out->item = calloc(count + 1, sizeof *out->item);
    if (!out->item) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", r->where, key);
    out->is_regex = v->type == GT_JSON_STRING;
    for (const gt_json *e = v->type == GT_JSON_STRING ? v : v->child; out->count < count; e = e->next) {
        GT_TRY(copy_string(r, key, e, &out->item[out->count]));
        out->count++;
    }
    return GT_OK;
}

static gt_status read_overrides(const reader *r, const char *key, gt_lora_override **out, size_t *count)
{
    const gt_json *v = member(r, key);
    if (!v) return GT_OK;
    if (v->type != GT_JSON_OBJECT) return wrong(r, key, "an object of patterns and numbers");
    if (v->count == 0) return GT_OK;
    if (v->count > GT_LORA_MAX_NAMES) return wrong(r, key, "an object of at most 1024 patterns");
    *out = calloc(v->count, sizeof **out);
    if (!*out) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", r->where, key);
    for (const gt_json *e = v->child; e; e = e->next) {
        if (e->type != GT_JSON_NUMBER || strlen(e->key) != e->key_length)
            return wrong(r, key, "an object of patterns and numbers");
        (*out)[*count].value = e->number;
        (*out)[*count].pattern = strdup(e->key);
        if (!(*out)[*count].pattern) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", r->where, key);
        (*count)++;
    }
    return GT_OK;
}

/* layers_to_transform: an integer or a list of them */
static gt_status read_layers(const reader *r, gt_lora_config *c)
{
    const gt_json *v = member(r, "layers_to_transform");
    if (!v) return GT_OK;
    const bool list = v->type == GT_JSON_ARRAY;
    const size_t count = list ? v->count : 1;
    if (count > GT_MAX_LAYERS) return wrong(r, "layers_to_transform", "a list of at most 512 layers");
    c->layers = calloc(count + 1, sizeof *c->layers);
    if (!c->layers) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for layers_to_transform", r->where);
    for (const gt_json *e = list ? v->child : v; c->layer_count < count; e = e->next) {
        if (e->type != GT_JSON_NUMBER || !e->is_integer || e->integer < 0 || e->integer >= GT_MAX_LAYERS)
            return wrong(r, "layers_to_transform", "a layer's number or a list of them");
        c->layers[c->layer_count++] = (int)e->integer;
    }
    return GT_OK;
}

/* Whether a value says nothing: absent, null, false, an empty list or object. */
static bool is_empty(const gt_json *v)
{
    return !v || v->type == GT_JSON_NULL || v->type == GT_JSON_FALSE ||
           ((v->type == GT_JSON_ARRAY || v->type == GT_JSON_OBJECT) && v->count == 0);
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
        if (!is_empty(gt_json_get(r->root, features[i].key)))
            return GT_FAIL(GT_ERR_DATA, "%s: '%s' is set: adapters with %s are not supported", r->where,
                           features[i].key, features[i].name);
    const gt_json *type = member(r, "peft_type"), *bias = member(r, "bias"), *init = member(r, "init_lora_weights");
    if (type && !gt_json_is_string(type, "LORA"))
        return GT_FAIL(GT_ERR_DATA, "%s: peft_type is '%.40s'; only LORA adapters are supported", r->where,
                       type->type == GT_JSON_STRING ? type->string : "not text");
    if (bias && !gt_json_is_string(bias, "none"))
        return GT_FAIL(GT_ERR_DATA, "%s: bias is '%.40s'; Gemma 3 has no biases: expected \"none\"", r->where,
                       bias->type == GT_JSON_STRING ? bias->string : "not text");
    if (init && init->type == GT_JSON_STRING && !gt_json_is_string(init, "gaussian") &&
        !gt_json_is_string(init, "eva") && !gt_json_is_string(init, "orthogonal"))
        return GT_FAIL(GT_ERR_DATA,
                       "%s: init_lora_weights '%.40s' goes with a changed base model, which this adapter alone does "
                       "not give; convert it to plain LoRA with PEFT first",
                       r->where, init->string);
    return GT_OK;
}

/* How the values began, which no longer matters: kept for whoever writes the adapter again. */
static void read_init(const reader *r, gt_lora_config *c)
{
    const gt_json *init = member(r, "init_lora_weights");
    if (init && init->type == GT_JSON_FALSE) c->init = GT_INIT_RANDOM;
    if (gt_json_is_string(init, "gaussian")) c->init = GT_INIT_GAUSSIAN;
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
    const gt_json *base = member(r, "base_model_name_or_path");
    return base ? copy_string(r, "base_model_name_or_path", base, base_model) : GT_OK;
}

gt_status gt_adapter_config_parse(gt_lora_config *c, char **base_model, const char *text, size_t size,
                                  const char *where)
{
    *c = (gt_lora_config){0};
    *base_model = NULL;
    gt_json_doc *doc = NULL;
    GT_TRY(gt_json_parse(&doc, text, size, where));
    const reader r = {gt_json_root(doc), where};
    gt_status st = r.root->type == GT_JSON_OBJECT ? read_all(&r, c, base_model)
                                                  : GT_FAIL(GT_ERR_DATA, "%s: must be a JSON object", where);
    gt_json_free(doc);
    return st;
}

/* Writing. */

static void print_key(gt_text *t, const char *key)
{
    gt_text_addf(t, "%s  \"%s\": ", t->size > 2 ? ",\n" : "", key);
}

static void print_plain(gt_text *t, const char *key, const char *value)
{
    print_key(t, key);
    gt_text_addf(t, "%s", value);
}

static void print_string(gt_text *t, const char *key, const char *value)
{
    print_key(t, key);
    if (value)
        gt_text_add_json_string(t, value, strlen(value));
    else
        gt_text_addf(t, "null");
}

/* A number as Python prints it: integers without a point where the field is one, the shortest digits otherwise. */
static void add_number(gt_text *t, double v, bool is_float)
{
    if (v == floor(v) && fabs(v) < 1e15) {
        gt_text_addf(t, is_float ? "%.1f" : "%.0f", v);
        return;
    }
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, v);
        if (strtod(digits, NULL) == v) break;
    }
    gt_text_addf(t, "%s", digits);
}

static void print_number(gt_text *t, const char *key, double v, bool is_float)
{
    print_key(t, key);
    add_number(t, v, is_float);
}

static void print_names(gt_text *t, const char *key, const gt_lora_names *n)
{
    if (n->count == 0 || n->is_regex) {
        print_string(t, key, n->count ? n->item[0] : NULL);
        return;
    }
    print_key(t, key);
    for (size_t i = 0; i < n->count; i++) {
        gt_text_addf(t, i ? ",\n    " : "[\n    ");
        gt_text_add_json_string(t, n->item[i], strlen(n->item[i]));
    }
    gt_text_addf(t, "\n  ]");
}

static void print_overrides(gt_text *t, const char *key, const gt_lora_override *o, size_t count)
{
    print_key(t, key);
    for (size_t i = 0; i < count; i++) {
        gt_text_addf(t, i ? ",\n    " : "{\n    ");
        gt_text_add_json_string(t, o[i].pattern, strlen(o[i].pattern));
        gt_text_addf(t, ": ");
        add_number(t, o[i].value, false);
    }
    gt_text_addf(t, count ? "\n  }" : "{}");
}

static void print_layers(gt_text *t, const gt_lora_config *c)
{
    print_key(t, "layers_to_transform");
    for (size_t i = 0; i < c->layer_count; i++) gt_text_addf(t, "%s%d", i ? ",\n    " : "[\n    ", c->layers[i]);
    gt_text_addf(t, c->layer_count ? "\n  ]" : "null");
}

void gt_adapter_config_print(gt_text *t, const gt_lora_config *c, const char *base_model, const char *targets_regex)
{
    const gt_lora_config none = {0}; /* a regular expression already names the layers and leaves out what is excluded */
    const gt_lora_config *selection = targets_regex ? &none : c;
    static const char *const init_words[] = {
        [GT_INIT_KAIMING] = "true", [GT_INIT_GAUSSIAN] = "\"gaussian\"", [GT_INIT_RANDOM] = "false"};
    gt_text_addf(t, "{\n");
    print_overrides(t, "alpha_pattern", c->alpha_pattern, c->alpha_patterns);
    print_plain(t, "auto_mapping", "null");
    print_string(t, "base_model_name_or_path", base_model);
    print_string(t, "bias", "none");
    print_names(t, "exclude_modules", &selection->exclude);
    print_plain(t, "fan_in_fan_out", "false");
    print_plain(t, "inference_mode", "true");
    print_plain(t, "init_lora_weights", init_words[c->init]);
    print_names(t, "layers_pattern", &selection->layers_pattern);
    print_layers(t, selection);
    print_number(t, "lora_alpha", c->alpha, false);
    print_plain(t, "lora_bias", "false");
    print_number(t, "lora_dropout", c->dropout, true);
    print_plain(t, "modules_to_save", "null");
    print_string(t, "peft_type", "LORA");
    print_number(t, "r", c->r, false);
    print_overrides(t, "rank_pattern", c->rank_pattern, c->rank_patterns);
    print_plain(t, "revision", "null");
    if (targets_regex)
        print_string(t, "target_modules", targets_regex);
    else if (c->all_linear)
        print_string(t, "target_modules", "all-linear");
    else
        print_names(t, "target_modules", &c->targets);
    print_string(t, "task_type", "CAUSAL_LM");
    print_plain(t, "use_dora", "false");
    print_plain(t, "use_rslora", c->rslora ? "true" : "false");
    gt_text_addf(t, "\n}\n");
}
