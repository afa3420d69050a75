/* json_config.h - configs of a user's and of other programs (recipes, config.json, generation_config.json,
 * adapter_config.json, tokenizer_config.json), read with cJSON behind our strict reader, which first refuses what cJSON
 * lets pass.
 *
 * cJSON keeps a number as a double and ends a string at a zero byte. So a whole number counts as one however it is
 * spelled (640, 640.0), and a config with U+0000 in a key or string is refused. What needs more than that (rows,
 * tokenizer.json, headers of tensor files, our own formats) is read with json.h. */
#ifndef GT_JSON_CONFIG_H
#define GT_JSON_CONFIG_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

/* Parses text[0..size). where: its path, for messages. *out is the caller's: cJSON_Delete. GT_ERR_DATA: as
 * gt_json_parse, and U+0000. GT_ERR_NOMEM. */
gt_status gt_config_parse(struct cJSON **out, const char *text, size_t size, const char *where);

/* The member, or NULL when it is absent or null: null stands for "not set" throughout these files. */
const struct cJSON *gt_config_get(const struct cJSON *object, const char *key);

/* Whether v (NULL: no) is this string, or a whole number in this range. */
bool gt_config_is_string(const struct cJSON *v, const char *text);
bool gt_config_is_whole(const struct cJSON *v, int least, int most);

/* The string, or "?" for messages about a value that is none. */
const char *gt_config_shown(const struct cJSON *v);

#endif
