#include "json_config.h"

#include "json.h"

#include <cJSON.h>
#include <math.h>
#include <string.h>

/* Recursion is bounded: the strict reader allows GT_JSON_MAX_DEPTH levels. */
static bool holds_zero_byte(const gt_json *v)
{
    if (v->key && memchr(v->key, '\0', v->key_length)) return true;
    if (v->type == GT_JSON_STRING) return !gt_json_c_string(v);
    for (const gt_json *c = v->child; c; c = c->next)
        if (holds_zero_byte(c)) return true;
    return false;
}

static gt_status check_strings(const gt_json *root, const char *where)
{
    const gt_json *m = root->type == GT_JSON_STRING ? root : root->child;
    while (m && !holds_zero_byte(m)) m = m->next;
    return m ? GT_FAIL(GT_ERR_DATA, "%s: '%.60s' holds U+0000, which no text in a config does", where,
                       m->key ? m->key : "(a text)")
             : GT_OK;
}

gt_status gt_config_parse(struct cJSON **out, const char *text, size_t size, const char *where)
{
    gt_json_doc *strict;
    GT_TRY(gt_json_parse(&strict, text, size, where));
    const gt_status st = check_strings(gt_json_root(strict), where);
    gt_json_free(strict);
    if (st != GT_OK) return st;
    cJSON *root = cJSON_ParseWithLength(text, size);
    if (!root) return GT_FAIL(GT_ERR_NOMEM, "%s: cJSON has no memory for its %zu bytes", where, size);
    *out = root;
    return GT_OK;
}

const struct cJSON *gt_config_get(const struct cJSON *object, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(v) ? NULL : v;
}

bool gt_config_is_string(const struct cJSON *v, const char *text)
{
    return cJSON_IsString(v) && strcmp(v->valuestring, text) == 0;
}

bool gt_config_is_whole(const struct cJSON *v, int least, int most)
{
    return cJSON_IsNumber(v) && v->valuedouble == floor(v->valuedouble) && v->valuedouble >= least &&
           v->valuedouble <= most;
}

const char *gt_config_shown(const struct cJSON *v)
{
    return cJSON_IsString(v) ? v->valuestring : "?";
}
