/* lora_targets.h - which projections get an adapter, of what rank and scaling: PEFT's rules (docs/model/lora.md
 * sections 1, 3) over the text model's modules, with a count for every name, because PEFT ignores names that match
 * nothing. */
#ifndef GT_LORA_TARGETS_H
#define GT_LORA_TARGETS_H

#include "lora_config.h"
#include "model_config.h"
#include "text.h"
#include "weights.h"

#include <stdbool.h>
#include <stddef.h>

/* What a config means for a model. Plain data. */
typedef struct {
    int rank[GT_MAX_LAYERS * GT_PROJ_COUNT];      /* [layer * GT_PROJ_COUNT + projection]; 0: no adapter */
    float scaling[GT_MAX_LAYERS * GT_PROJ_COUNT]; /* likewise */
    int layers;
    size_t modules;                /* projections with an adapter */
    size_t hit[GT_LORA_MAX_NAMES]; /* [targets.count] modules that each name matches, before exclusion; 0: it matches
                                      nothing */
    size_t excluded;               /* modules that are targets but for exclude_modules */
    size_t rank_hit[GT_LORA_MAX_NAMES];  /* [rank_patterns] adapters whose rank each pattern sets */
    size_t alpha_hit[GT_LORA_MAX_NAMES]; /* [alpha_patterns] likewise */
} gt_lora_targets;

/* A module's path, as PEFT sees it in the model that transformers makes: "model.layers.3.self_attn.q_proj". Tensor
 * names may have an older prefix: "language_model.model." (the 4.50 layout) is "model.language_model." there. Static
 * string: "model.", "model.language_model." or "". */
const char *gt_module_prefix(const char *tensor_prefix);

/* Fills out. prefix: gt_weights.prefix. GT_ERR_CONFIG: nothing matches (names the valid ones), everything that matches
 * is excluded, a regular expression that cannot be read, a rank out of range, layers with a regular expression. */
gt_status gt_lora_targets_resolve(gt_lora_targets *out, const gt_lora_config *c, const gt_model_config *m,
                                  const char *prefix);

/* The same where modules are called module_prefix + "layers.N...": adapter files name their own tree. */
gt_status gt_lora_targets_resolve_in(gt_lora_targets *out, const gt_lora_config *c, const gt_model_config *m,
                                     const char *module_prefix);

/* Appends "q_proj: 18 modules, r_proj: NOTHING, ..." to text; *missed (may be NULL): the number of names that match
 * nothing. */
void gt_lora_targets_describe(gt_text *text, const gt_lora_targets *t, const gt_lora_config *c, size_t *missed);

/* Appends what of a config changes nothing in this model, one sentence after the other parted by "; " (nothing if all
 * of it has an effect): patterns that set nothing, layers that the model does not have, an exclusion of nothing. PEFT
 * says no more than a warning about them either. */
void gt_lora_targets_idle(gt_text *text, const gt_lora_targets *t, const gt_lora_config *c);

/* "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj". Static string. */
const char *gt_lora_valid_names(void);

#endif
