#include "lora_targets.h"

#include "name_regex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANK = 4096 };

const char *gt_module_prefix(const char *tensor_prefix)
{
    if (strstr(tensor_prefix, "language_model.")) return "model.language_model.";
    return *tensor_prefix ? "model." : "";
}

const char *gt_lora_valid_names(void)
{
    return "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj";
}

/* Regular expressions of a config, compiled: target, exclude, then rank and alpha patterns. */
typedef struct {
    gt_regex *target, *exclude, **rank, **alpha;
    const gt_lora_config *c;
} compiled;

static void release(compiled *k)
{
    gt_regex_free(k->target);
    gt_regex_free(k->exclude);
    for (size_t i = 0; k->rank && i < k->c->rank_patterns; i++) gt_regex_free(k->rank[i]);
    for (size_t i = 0; k->alpha && i < k->c->alpha_patterns; i++) gt_regex_free(k->alpha[i]);
    free(k->rank);
    free(k->alpha);
}

/* PEFT matches a pattern K as (.*\.)?(K)$ */
static gt_status compile_patterns(gt_regex ***out, const gt_lora_override *pattern, size_t count)
{
    gt_regex **r = calloc(count + 1, sizeof *r);
    if (!r) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu rank or alpha patterns", count);
    *out = r;
    for (size_t i = 0; i < count; i++) {
        gt_text whole = {0};
        gt_text_addf(&whole, "(.*\\.)?(%s)", pattern[i].pattern);
        gt_status st =
            whole.failed ? GT_FAIL(GT_ERR_NOMEM, "no memory for a pattern") : gt_regex_compile(&r[i], whole.data);
        gt_text_free(&whole);
        GT_TRY(st);
    }
    return GT_OK;
}

static gt_status compile_all(compiled *k, const gt_lora_config *c)
{
    if (!c->all_linear && c->targets.is_regex) GT_TRY(gt_regex_compile(&k->target, c->targets.item[0]));
    if (c->exclude.is_regex) GT_TRY(gt_regex_compile(&k->exclude, c->exclude.item[0]));
    GT_TRY(compile_patterns(&k->rank, c->rank_pattern, c->rank_patterns));
    return compile_patterns(&k->alpha, c->alpha_pattern, c->alpha_patterns);
}

/* path equals name or ends with "." + name */
static bool has_suffix(const char *path, const char *name)
{
    const size_t n = strlen(path), m = strlen(name);
    if (m > n || strcmp(path + n - m, name) != 0) return false;
    return m == n || path[n - m - 1] == '.';
}

/* Whether layers_to_transform lets this layer through. Gemma's paths hold one number, the layer's, behind "layers"; PEFT
 * finds it only where something stands in front of that word. */
static bool layer_allowed(const gt_lora_config *c, int layer, const char *prefix)
{
    if (c->layer_count == 0) return true;
    bool found = c->layers_pattern.count == 0 && *prefix;
    for (size_t i = 0; i < c->layers_pattern.count; i++) found |= strcmp(c->layers_pattern.item[i], "layers") == 0;
    if (!found) return false;
    for (size_t i = 0; i < c->layer_count; i++)
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
    if (!layer_allowed(c, layer, prefix)) return false;
    bool any = false;
    for (size_t i = 0; i < c->targets.count; i++) {
        const bool hit = has_suffix(path, c->targets.item[i]);
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

static double overridden(double value, gt_regex **r, const gt_lora_override *o, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (gt_regex_full_match(r[i], path)) return o[i].value;
    return value;
}

static gt_status set_slot(gt_lora_targets *t, const compiled *k, int at, const char *path)
{
    const gt_lora_config *c = k->c;
    const double r = overridden(c->r, k->rank, c->rank_pattern, c->rank_patterns, path);
    const double alpha = overridden(c->alpha, k->alpha, c->alpha_pattern, c->alpha_patterns, path);
    if (!(r >= 1 && r <= MAX_RANK && r == floor(r)))
        return GT_FAIL(GT_ERR_CONFIG, "%s: LoRA rank %g; expected an integer 1 ... %d", path, r, MAX_RANK);
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
    size_t excluded = 0;
    for (int layer = 0; layer < t->layers; layer++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            char path[128];
            snprintf(path, sizeof path, "%slayers.%d.%s", prefix, layer, gt_proj_path((gt_proj)p));
            if (!is_target(t, k, path, layer, prefix)) continue;
            if (is_excluded(k, path))
                excluded++;
            else
                GT_TRY(set_slot(t, k, layer * GT_PROJ_COUNT + p, path));
        }
    }
    return t->modules ? GT_OK : nothing_matched(k->c, prefix, excluded);
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
    if (missed) *missed = none;
}
