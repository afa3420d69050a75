#include "lora_targets.h"

#include "name_regex.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *gt_module_prefix(const char *tensor_prefix)
{
    if (strstr(tensor_prefix, "language_model.")) return "model.language_model.";
    return *tensor_prefix ? "model." : "";
}

const char *gt_lora_valid_names(void)
{
    return "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj";
}

/* Regular expressions of a config, compiled: target, exclude, names in front of a layer's number, rank and alpha
 * patterns. */
typedef struct {
    gt_regex *target, *exclude, **layers, **rank, **alpha;
    const gt_lora_config *c;
} compiled;

static void release_list(gt_regex **r, size_t count)
{
    for (size_t i = 0; r && i < count; i++) gt_regex_free(r[i]);
    free(r);
}

static void release(compiled *k)
{
    gt_regex_free(k->target);
    gt_regex_free(k->exclude);
    release_list(k->layers, k->c->layers_pattern.count);
    release_list(k->rank, k->c->rank_patterns);
    release_list(k->alpha, k->c->alpha_patterns);
}

static gt_status compile_one(gt_regex **out, const char *before, const char *pattern, const char *behind)
{
    gt_text whole = {0};
    gt_text_addf(&whole, "%s%s%s", before, pattern, behind);
    const gt_status st =
        whole.failed ? GT_FAIL(GT_ERR_NOMEM, "no memory for a pattern") : gt_regex_compile(out, whole.data);
    gt_text_free(&whole);
    return st;
}

/* PEFT matches a pattern K as (.*\.)?(K)$ */
static gt_status compile_patterns(gt_regex ***out, const gt_lora_override *pattern, size_t count)
{
    gt_regex **r = calloc(count + 1, sizeof *r);
    if (!r) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu rank or alpha patterns", count);
    *out = r;
    for (size_t i = 0; i < count; i++) GT_TRY(compile_one(&r[i], "(.*\\.)?(", pattern[i].pattern, ")"));
    return GT_OK;
}

/* ... and a name P in front of a layer's number as (?:^|.*?\.)P\.(\d+)\. at the path's begin. */
static gt_status compile_layers(compiled *k)
{
    const gt_lora_names *n = &k->c->layers_pattern;
    k->layers = calloc(n->count + 1, sizeof *k->layers);
    if (!k->layers) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu patterns of layers", n->count);
    for (size_t i = 0; i < n->count; i++)
        GT_TRY(compile_one(&k->layers[i], "(.*\\.)?(?:", n->item[i], ")\\.\\d+\\..*"));
    return GT_OK;
}

static gt_status compile_all(compiled *k, const gt_lora_config *c)
{
    if (!c->all_linear && c->targets.is_regex) GT_TRY(gt_regex_compile(&k->target, c->targets.item[0]));
    if (c->exclude.is_regex) GT_TRY(gt_regex_compile(&k->exclude, c->exclude.item[0]));
    GT_TRY(compile_layers(k));
    GT_TRY(compile_patterns(&k->rank, c->rank_pattern, c->rank_patterns));
    return compile_patterns(&k->alpha, c->alpha_pattern, c->alpha_patterns);
}

/* path equals name or ends with "." + name */
static bool has_suffix(const char *path, const char *name)
{
    const size_t n = strlen(path), m = strlen(name);
    if (!gt_ends_with(path, name)) return false;
    return m == n || path[n - m - 1] == '.';
}

/* Whether layers_to_transform lets this layer through. Gemma's paths hold one number, the layer's, behind "layers";
 * PEFT finds it unasked only where something stands in front of that word. */
static bool layer_allowed(const compiled *k, const char *path, int layer, const char *prefix)
{
    const gt_lora_config *c = k->c;
    if (c->layer_count == 0) return true;
    bool found = c->layers_pattern.count == 0 && *prefix;
    for (size_t i = 0; i < c->layers_pattern.count && !found; i++) found = gt_regex_full_match(k->layers[i], path);
    for (size_t i = 0; i < c->layer_count && found; i++)
        if (c->layers[i] == layer) return true;
    return false;
}

static bool is_target(gt_lora_targets *t, const compiled *k, const char *path, int layer, const char *prefix)
{
    const gt_lora_config *c = k->c;
    if (c->all_linear) return true;
    if (k->target) {
        const bool hit = gt_regex_full_match(k->target, path);
        t->hit[0] += hit;
        return hit;
    }
    const bool allowed = layer_allowed(k, path, layer, prefix);
    bool any = false;
    for (size_t i = 0; i < c->targets.count; i++) {
        /* a path spelled out is meant whatever its layer, as PEFT has it */
        const bool hit = allowed ? has_suffix(path, c->targets.item[i]) : strcmp(path, c->targets.item[i]) == 0;
        t->hit[i] += hit;
        any |= hit;
    }
    return any;
}

static bool is_excluded(const compiled *k, const char *path)
{
    if (k->exclude) return gt_regex_full_match(k->exclude, path);
    for (size_t i = 0; i < k->c->exclude.count; i++)
        if (has_suffix(path, k->c->exclude.item[i])) return true;
    return false;
}

/* The value of the first pattern that matches, counted in its hit; else the given one. */
static double overridden(double value, gt_regex **r, const gt_lora_override *o, size_t count, const char *path,
                         size_t *hit)
{
    for (size_t i = 0; i < count; i++) {
        if (!gt_regex_full_match(r[i], path)) continue;
        hit[i]++;
        return o[i].value;
    }
    return value;
}

static gt_status set_slot(gt_lora_targets *t, const compiled *k, int at, const char *path)
{
    const gt_lora_config *c = k->c;
    const double r = overridden(c->r, k->rank, c->rank_pattern, c->rank_patterns, path, t->rank_hit);
    const double alpha = overridden(c->alpha, k->alpha, c->alpha_pattern, c->alpha_patterns, path, t->alpha_hit);
    if (!(r >= 1 && r <= GT_LORA_MAX_RANK && r == floor(r)))
        return GT_FAIL(GT_ERR_CONFIG, "%s: LoRA rank %g; expected an integer 1 ... %d", path, r, GT_LORA_MAX_RANK);
    if (!isfinite(alpha)) return GT_FAIL(GT_ERR_CONFIG, "%s: lora_alpha %g is not finite", path, alpha);
    t->rank[at] = (int)r;
    t->scaling[at] = (float)(c->rslora ? alpha / sqrt(r) : alpha / r);
    t->modules++;
    return GT_OK;
}

static gt_status check_config(const gt_lora_config *c)
{
    if (c->targets.count > GT_LORA_MAX_NAMES)
        return GT_FAIL(GT_ERR_CONFIG, "target_modules has %zu names; at most %d", c->targets.count, GT_LORA_MAX_NAMES);
    if (c->rank_patterns > GT_LORA_MAX_NAMES || c->alpha_patterns > GT_LORA_MAX_NAMES)
        return GT_FAIL(GT_ERR_CONFIG, "rank_pattern or alpha_pattern has more than %d patterns", GT_LORA_MAX_NAMES);
    for (size_t i = 0; i < c->layers_pattern.count; i++)
        if (strchr(c->layers_pattern.item[i], '|')) /* PEFT's expression falls apart at a bar */
            return GT_FAIL(GT_ERR_CONFIG, "layers_pattern '%.100s' has a '|'; list the names",
                           c->layers_pattern.item[i]);
    if (!c->all_linear && c->targets.count == 0)
        return GT_FAIL(GT_ERR_CONFIG, "no target_modules; name some of %s, or \"all-linear\"", gt_lora_valid_names());
    if ((c->targets.is_regex || c->all_linear) && (c->layer_count || c->layers_pattern.count))
        return GT_FAIL(GT_ERR_CONFIG,
                       "layers_to_transform and layers_pattern go with a list of target_modules, not with a "
                       "regular expression or \"all-linear\"");
    return GT_OK;
}

/* Nothing got an adapter: says why. */
static gt_status nothing_matched(const gt_lora_config *c, const char *prefix, size_t excluded)
{
    if (excluded)
        return GT_FAIL(GT_ERR_CONFIG, "all %zu modules that target_modules matches are excluded by exclude_modules",
                       excluded);
    gt_text names = {0};
    for (size_t i = 0; i < c->targets.count && names.size < 300; i++)
        gt_text_addf(&names, "%s%s", i ? ", " : "", c->targets.item[i]);
    const gt_status st =
        GT_FAIL(GT_ERR_CONFIG,
                "target_modules match no module of this model: %s; valid names: %s (modules are called "
                "%slayers.0.self_attn.q_proj and so on)",
                names.data ? names.data : "", gt_lora_valid_names(), prefix);
    gt_text_free(&names);
    return st;
}

static gt_status resolve(gt_lora_targets *t, const compiled *k, const char *prefix)
{
    for (int layer = 0; layer < t->layers; layer++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            char path[128];
            snprintf(path, sizeof path, "%slayers.%d.%s", prefix, layer, gt_proj_path((gt_proj)p));
            if (!is_target(t, k, path, layer, prefix)) continue;
            if (is_excluded(k, path))
                t->excluded++;
            else
                GT_TRY(set_slot(t, k, gt_slot_index((gt_slot){layer, (gt_proj)p}), path));
        }
    }
    return t->modules ? GT_OK : nothing_matched(k->c, prefix, t->excluded);
}

gt_status gt_lora_targets_resolve(gt_lora_targets *out, const gt_lora_config *c, const gt_model_config *m,
                                  const char *prefix)
{
    return gt_lora_targets_resolve_in(out, c, m, gt_module_prefix(prefix));
}

gt_status gt_lora_targets_resolve_in(gt_lora_targets *out, const gt_lora_config *c, const gt_model_config *m,
                                     const char *module_prefix)
{
    GT_TRY(check_config(c));
    gt_lora_targets *t = calloc(1, sizeof *t);
    if (!t) return GT_FAIL(GT_ERR_NOMEM, "no memory for the list of adapters");
    t->layers = m->num_hidden_layers;
    compiled k = {.c = c};
    gt_status st = compile_all(&k, c);
    if (st == GT_OK) st = resolve(t, &k, module_prefix);
    release(&k);
    if (st == GT_OK) *out = *t;
    free(t);
    return st;
}

/* ", ranks 2 to 16" where modules differ. */
static void describe_ranks(gt_text *text, const gt_lora_targets *t)
{
    int low = GT_LORA_MAX_RANK, high = 0;
    for (int i = 0; i < t->layers * GT_PROJ_COUNT; i++) {
        if (t->rank[i] == 0) continue;
        low = t->rank[i] < low ? t->rank[i] : low;
        high = t->rank[i] > high ? t->rank[i] : high;
    }
    if (low < high) gt_text_addf(text, ", ranks %d to %d", low, high);
}

void gt_lora_targets_describe(gt_text *text, const gt_lora_targets *t, const gt_lora_config *c, size_t *missed)
{
    size_t none = 0;
    if (c->all_linear)
        gt_text_addf(text, "all-linear: %zu modules", t->modules);
    else
        for (size_t i = 0; i < c->targets.count; i++) {
            none += t->hit[i] == 0;
            gt_text_addf(text, "%s%s: ", i ? ", " : "", c->targets.item[i]);
            if (t->hit[i])
                gt_text_addf(text, "%zu modules", t->hit[i]);
            else
                gt_text_addf(text, "NOTHING");
        }
    if (t->excluded) gt_text_addf(text, ", %zu of them excluded", t->excluded);
    describe_ranks(text, t);
    if (missed) *missed = none;
}

static void idle(gt_text *text, const char *format, const char *key, const char *what)
{
    if (text->size > 600) return; /* the first ones tell what is wrong */
    if (text->size) gt_text_addf(text, "; ");
    gt_text_addf(text, format, key, what);
}

static void idle_patterns(gt_text *text, const char *key, const gt_lora_override *o, size_t count, const size_t *hit)
{
    for (size_t i = 0; i < count; i++)
        if (hit[i] == 0)
            idle(text, "%s: '%.100s' sets nothing, no adapter's path is matched by it first", key, o[i].pattern);
}

void gt_lora_targets_idle(gt_text *text, const gt_lora_targets *t, const gt_lora_config *c)
{
    idle_patterns(text, "rank_pattern", c->rank_pattern, c->rank_patterns, t->rank_hit);
    idle_patterns(text, "alpha_pattern", c->alpha_pattern, c->alpha_patterns, t->alpha_hit);
    for (size_t i = 0; i < c->layer_count; i++) {
        char number[80];
        snprintf(number, sizeof number, "%d is no layer of this model (0 to %d)", c->layers[i], t->layers - 1);
        if (c->layers[i] >= t->layers) idle(text, "%s: %s", "layers_to_transform", number);
    }
    if (c->exclude.count && t->excluded == 0) idle(text, "%s: %s", "exclude_modules", "excludes nothing");
}
