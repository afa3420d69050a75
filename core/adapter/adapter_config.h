/* adapter_config.h - adapter_config.json of a PEFT folder, between text and gt_lora_config (docs/model/lora.md section
 * 5). */
#ifndef GT_ADAPTER_CONFIG_H
#define GT_ADAPTER_CONFIG_H

#include "lora_targets.h"

/* Fills c (owned: release with gt_lora_config_free, also after a failure) and *base_model (malloc'ed or NULL).
 * GT_ERR_DATA names where and the field: not JSON, a wrong type, or a feature whose function would be another here. */
gt_status gt_adapter_config_parse(gt_lora_config *c, char **base_model, const char *text, size_t size,
                                  const char *where);

/* Frees the strings and arrays of a config that owns them and zeroes it. */
void gt_lora_config_free(gt_lora_config *c);

/* Appends the JSON: keys sorted as PEFT sorts them; the common keys with their defaults. targets_regex: NULL, or a
 * regular expression that stands in for the config's targets. GT_ERR_NOMEM. */
gt_status gt_adapter_config_print(gt_text *text, const gt_lora_config *c, const char *base_model,
                                  const char *targets_regex);

#endif
