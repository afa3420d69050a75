/* lora_config.h - the part of PEFT's LoraConfig that this program honours, wherever it comes from: a recipe or the
 * adapter_config.json of a PEFT folder. Plain data; pointers are the maker's. */
#ifndef GT_LORA_CONFIG_H
#define GT_LORA_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum { GT_LORA_MAX_NAMES = 1024, GT_LORA_MAX_RANK = 4096 };

/* init_lora_weights (docs/model/lora.md section 1): true, "gaussian", false. */
typedef enum { GT_INIT_KAIMING, GT_INIT_GAUSSIAN, GT_INIT_RANDOM } gt_init_lora;

/* A list of names, or one regular expression (is_regex, count 1) that must match a module's whole path. */
typedef struct {
    char **item;
    size_t count;
    bool is_regex;
} gt_lora_names;

/* A regular expression on the end of a module's path (from a dot on) and what it sets there; the first that matches
 * wins. */
typedef struct {
    char *pattern;
    double value;
} gt_lora_override;

typedef struct {
    int r;
    double alpha;
    bool rslora; /* scaling alpha / sqrt(r) instead of alpha / r */
    double dropout;
    gt_init_lora init;
    bool all_linear; /* target_modules "all-linear": all seven projections; targets is unused then */
    gt_lora_names targets, exclude;
    int *layers; /* layers_to_transform [layer_count]; none: every layer. Lists only */
    size_t layer_count;
    gt_lora_names layers_pattern; /* the name in front of the layer's number; none: any. Lists only */
    gt_lora_override *rank_pattern, *alpha_pattern;
    size_t rank_patterns, alpha_patterns;
} gt_lora_config;

#endif
