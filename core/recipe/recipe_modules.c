/* recipe_modules.c - the values of a recipe that pick modules: targets and exclusions, layers, and what patterns set
 * for some of them. Stored, printed, released, and handed on as a gt_lora_config. A pattern that cannot be read is
 * refused here, at its key; whether it matches anything is known when the model is open. */
#include "lora_targets.h"
#include "name_regex.h"
#include "recipe_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The failure of a callee becomes the detail of what is said about the key. */
static gt_status refused_for(const gt_recipe_key *k, const cJSON *v)
{
    char words[sizeof gt_error_last()->message];
    memcpy(words, gt_error_last()->message, sizeof words);
    return gt_recipe_not_allowed(k, v, words);
}

/* A pattern that cannot be read is said at the key, not when the model is open. */
static gt_status check_regex(const gt_recipe_key *k, const cJSON *v, const char *pattern)
{
    gt_regex *regex = NULL;
    const gt_status st = gt_regex_compile(&regex, pattern);
    gt_regex_free(regex);
    return st == GT_ERR_CONFIG ? refused_for(k, v) : st;
}

static void targets_free(gt_recipe_targets *t)
{
    gt_string_list_free(&t->names);
    free(t->regex);
    *t = (gt_recipe_targets){0};
}

/* A list of names or a regular expression. */
static gt_status store_names(const gt_recipe_key *k, const cJSON *v, gt_recipe_targets *made)
{
    if (cJSON_GetArraySize(v) > GT_LORA_MAX_NAMES) return gt_recipe_not_allowed(k, v, "at most 1024 names");
    if (cJSON_IsArray(v)) return gt_recipe_store_list(k, v, &made->names);
    if (!gt_recipe_usable_text(v)) return gt_recipe_not_allowed(k, v, NULL);
    GT_TRY(check_regex(k, v, v->valuestring));
    made->regex = strdup(v->valuestring);
    return made->regex ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "no memory for %s", k->name);
}

static gt_status store_targets(const gt_recipe_key *k, const cJSON *v, gt_recipe_targets *made)
{
    if (cJSON_IsArray(v) && !v->child) return gt_recipe_not_allowed(k, v, "an empty list names no module");
    if (cJSON_IsNull(v)) {
        GT_TRY(gt_string_list_add(&made->names, "q_proj")); /* PEFT's own for gemma3_text */
        return gt_string_list_add(&made->names, "v_proj");
    }
    made->all_linear = cJSON_IsString(v) && strcasecmp(v->valuestring, "all-linear") == 0;
    return made->all_linear ? GT_OK : store_names(k, v, made);
}

/* As for PEFT, what is empty excludes nothing. */
static gt_status store_exclusion(const gt_recipe_key *k, const cJSON *v, gt_recipe_targets *made)
{
    if (cJSON_IsNull(v) || (cJSON_IsString(v) && !v->valuestring[0])) return GT_OK;
    return store_names(k, v, made);
}

static gt_status replace_targets(const gt_recipe_key *k, const cJSON *v, gt_recipe_targets *field)
{
    gt_recipe_targets made = {0};
    const gt_status st = k->type == GT_KEY_TARGETS ? store_targets(k, v, &made) : store_exclusion(k, v, &made);
    if (st != GT_OK) {
        targets_free(&made);
        return st;
    }
    targets_free(field);
    *field = made;
    return GT_OK;
}

static gt_status store_layers(const gt_recipe_key *k, const cJSON *v, gt_recipe_layers *field)
{
    const bool list = cJSON_IsArray(v);
    const size_t count = list ? (size_t)cJSON_GetArraySize(v) : !cJSON_IsNull(v);
    if (count > GT_MAX_LAYERS) return gt_recipe_not_allowed(k, v, "more numbers than a model can have layers");
    gt_recipe_layers made = {calloc(count + 1, sizeof *made.item), 0};
    if (!made.item) return GT_FAIL(GT_ERR_NOMEM, "no memory for %s", k->name);
    for (const cJSON *e = list ? v->child : v; made.count < count; e = e->next) {
        if (!cJSON_IsNumber(e) || !(e->valuedouble >= k->min && e->valuedouble <= k->max) ||
            e->valuedouble != floor(e->valuedouble)) {
            free(made.item);
            return gt_recipe_not_allowed(k, v, NULL);
        }
        made.item[made.count++] = (int)e->valuedouble;
    }
    free(field->item);
    *field = made;
    return GT_OK;
}

static void patterns_free(gt_recipe_patterns *p)
{
    for (size_t i = 0; i < p->count; i++) free(p->item[i].pattern);
    free(p->item);
    *p = (gt_recipe_patterns){NULL, 0};
}

static gt_status add_pattern(const gt_recipe_key *k, const cJSON *v, const cJSON *e, gt_recipe_patterns *made)
{
    if (!e->string[0]) return gt_recipe_not_allowed(k, v, "an empty pattern matches no module");
    if (!cJSON_IsNumber(e) || !(e->valuedouble >= k->min && e->valuedouble <= k->max) ||
        (k->type == GT_KEY_RANKS && e->valuedouble != floor(e->valuedouble)))
        return gt_recipe_not_allowed(k, v, NULL);
    GT_TRY(check_regex(k, v, e->string));
    char *pattern = strdup(e->string);
    if (!pattern) return GT_FAIL(GT_ERR_NOMEM, "no memory for %s", k->name);
    made->item[made->count++] = (gt_lora_override){pattern, e->valuedouble};
    return GT_OK;
}

static gt_status store_patterns(const gt_recipe_key *k, const cJSON *v, gt_recipe_patterns *field)
{
    if (!cJSON_IsObject(v) && !cJSON_IsNull(v)) return gt_recipe_not_allowed(k, v, NULL);
    const size_t count = (size_t)cJSON_GetArraySize(v);
    if (count > GT_LORA_MAX_NAMES) return gt_recipe_not_allowed(k, v, "at most 1024 patterns");
    gt_recipe_patterns made = {calloc(count + 1, sizeof *made.item), 0};
    gt_status st = made.item ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "no memory for %s", k->name);
    for (const cJSON *e = v->child; e && st == GT_OK; e = e->next) st = add_pattern(k, v, e, &made);
    if (st != GT_OK) {
        patterns_free(&made);
        return st;
    }
    patterns_free(field);
    *field = made;
    return GT_OK;
}

gt_status gt_recipe_store_modules(void *field, const gt_recipe_key *k, const cJSON *v)
{
    switch (k->type) {
    case GT_KEY_TARGETS:
    case GT_KEY_EXCLUSION:
        return replace_targets(k, v, field);
    case GT_KEY_LAYERS:
        return store_layers(k, v, field);
    case GT_KEY_RANKS:
    case GT_KEY_ALPHAS:
        return store_patterns(k, v, field);
    default:
        return GT_FAIL(GT_ERR_INTERNAL, "key %s picks no modules", k->name);
    }
}

void gt_recipe_free_modules(void *field, const gt_recipe_key *k)
{
    if (k->type == GT_KEY_TARGETS || k->type == GT_KEY_EXCLUSION)
        targets_free(field);
    else if (k->type == GT_KEY_RANKS || k->type == GT_KEY_ALPHAS)
        patterns_free(field);
    else if (k->type == GT_KEY_LAYERS)
        free(((gt_recipe_layers *)field)->item);
}

static void print_targets(gt_text *out, const gt_recipe_targets *t)
{
    if (t->all_linear)
        gt_recipe_print_text(out, "all-linear");
    else if (t->regex || t->names.count == 0)
        gt_recipe_print_text(out, t->regex);
    else
        gt_recipe_print_list(out, &t->names);
}

static void print_layers(gt_text *out, const gt_recipe_layers *l)
{
    for (size_t i = 0; i < l->count; i++) gt_text_addf(out, "%s%d", i ? ", " : "[", l->item[i]);
    gt_text_addf(out, l->count ? "]" : "null");
}

/* In the order given: the first pattern that matches wins. */
static void print_patterns(gt_text *out, const gt_recipe_patterns *p)
{
    gt_text_addf(out, "{");
    for (size_t i = 0; i < p->count; i++) {
        if (i) gt_text_addf(out, ", ");
        gt_recipe_print_text(out, p->item[i].pattern);
        gt_text_addf(out, ": ");
        gt_recipe_print_number(out, p->item[i].value);
    }
    gt_text_addf(out, "}");
}

void gt_recipe_print_modules(gt_text *out, const void *field, const gt_recipe_key *k)
{
    if (k->type == GT_KEY_LAYERS)
        print_layers(out, field);
    else if (k->type == GT_KEY_RANKS || k->type == GT_KEY_ALPHAS)
        print_patterns(out, field);
    else
        print_targets(out, field);
}

gt_status gt_recipe_check_modules(const gt_recipe *r)
{
    const gt_recipe_targets *t = &r->lora_target_modules;
    const bool layers = r->layers_to_transform.count > 0, pattern = r->layers_pattern.count > 0;
    if (pattern && !layers)
        return GT_FAIL(GT_ERR_CONFIG, "layers_pattern is given without layers_to_transform; give both, or neither");
    if (layers && (t->regex || t->all_linear))
        return GT_FAIL(GT_ERR_CONFIG,
                       "layers_to_transform goes with a list of lora_target_modules, not with \"%.100s\"; give a list, "
                       "or name the layers in a regular expression",
                       t->regex ? t->regex : "all-linear");
    for (int i = 0; i < r->layers_pattern.count; i++)
        if (strchr(r->layers_pattern.item[i], '|'))
            return GT_FAIL(GT_ERR_CONFIG,
                           "layers_pattern is \"%.100s\"; allowed: a name without '|', or a list of names",
                           r->layers_pattern.item[i]);
    return GT_OK;
}

static gt_lora_names names_of(const gt_recipe_targets *t)
{
    if (t->regex) return (gt_lora_names){(char **)(uintptr_t)&t->regex, 1, true};
    return (gt_lora_names){t->names.item, (size_t)t->names.count, false};
}

gt_lora_config gt_recipe_lora(const gt_recipe *r)
{
    return (gt_lora_config){.r = (int)r->lora_r,
                            .alpha = r->lora_alpha,
                            .rslora = r->use_rslora,
                            .dropout = r->lora_dropout,
                            .init = r->init_lora_weights,
                            .all_linear = r->lora_target_modules.all_linear,
                            .targets = names_of(&r->lora_target_modules),
                            .exclude = names_of(&r->exclude_modules),
                            .layers = r->layers_to_transform.item,
                            .layer_count = r->layers_to_transform.count,
                            .layers_pattern = {r->layers_pattern.item, (size_t)r->layers_pattern.count, false},
                            .rank_pattern = r->rank_pattern.item,
                            .rank_patterns = r->rank_pattern.count,
                            .alpha_pattern = r->alpha_pattern.item,
                            .alpha_patterns = r->alpha_pattern.count};
}
