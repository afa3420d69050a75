/* lora_targets.h - which projections get an adapter, of what rank and scaling: PEFT's rules (spec/lora.md sections 1, 3) over
 * the text model's modules, with a count for every name, because PEFT ignores names that match nothing. */
#ifndef GT_LORA_TARGETS_H
#define GT_LORA_TARGETS_H

#include "model_config.h"
#include "text.h"
#include "weights.h"

#include <stdbool.h>
#include <stddef.h>

enum { GT_LORA_MAX_NAMES = 1024 };

/* A list of names, or one regular expression (is_regex, count 1) that must match a module's whole path. */
typedef struct {
    char **item;
    size_t count;
    bool is_regex;
} gt_lora_names;

/* A regular expression on the end of a module's path (from a dot on) and what it sets there; the first that matches wins. */
typedef struct {
    char *pattern;
    double value;
} gt_lora_override;

/* The part of PEFT's LoraConfig that this program honours. Plain data; pointers are the maker's. */
typedef struct {
    int r;
    double alpha;
    bool rslora; /* scaling alpha / sqrt(r) instead of alpha / r */
    double dropout;
    bool all_linear; /* target_modules "all-linear": all seven projections; targets is unused then */
    gt_lora_names targets, exclude;
    int *layers; /* layers_to_transform [layer_count]; none: every layer. Lists only */
    size_t layer_count;
    gt_lora_names layers_pattern; /* the name in front of the layer's number; none: any. Lists only */
    gt_lora_override *rank_pattern, *alpha_pattern;
    size_t rank_patterns, alpha_patterns;
} gt_lora_config;

/* What a config means for a model. Plain data. */
typedef struct {
    int rank[GT_MAX_LAYERS * GT_PROJ_COUNT];      /* [layer * GT_PROJ_COUNT + projection]; 0: no adapter */
    float scaling[GT_MAX_LAYERS * GT_PROJ_COUNT]; /* likewise */
    int layers;
    size_t modules; /* projections with an adapter */
    size_t hit
        [GT_LORA_MAX_NAMES]; /* [targets.count] modules that each name matches, before exclusion; 0: it matches nothing */
} gt_lora_targets;

/* A module's path, as PEFT sees it in the model that transformers makes: "model.layers.3.self_attn.q_proj". Tensor names
 * may have an older prefix: "language_model.model." (the 4.50 layout) is "model.language_model." there. Static string:
 * "model.", "model.language_model." or "". */
const char *gt_module_prefix(const char *tensor_prefix);

/* Fills out. prefix: gt_weights.prefix. GT_ERR_CONFIG: nothing matches (names the valid ones), everything that matches
 * is excluded, a regular expression that cannot be read, a rank out of range, layers with a regular expression. */
gt_status gt_lora_targets_resolve(gt_lora_targets *out, const gt_lora_config *c, const gt_model_config *m,
                                  const char *prefix);

/* The same where modules are called module_prefix + "layers.N...": adapter files name their own tree. */
gt_status gt_lora_targets_resolve_in(gt_lora_targets *out, const gt_lora_config *c, const gt_model_config *m,
                                     const char *module_prefix);

/* Appends "q_proj: 18 modules, r_proj: NOTHING, ..." to text; *missed (may be NULL): the number of names that match nothing. */
void gt_lora_targets_describe(gt_text *text, const gt_lora_targets *t, const gt_lora_config *c, size_t *missed);

/* "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj". Static string. */
const char *gt_lora_valid_names(void);

#endif
