#include "json_write.h"

#include "utf8.h"

#include <cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 40 };

gt_json_node *gt_json_begin(gt_json_writer *w)
{
    w->root = cJSON_CreateObject();
    w->failed = !w->root;
    return w->root;
}

/* Takes item, also when it cannot be added. */
static gt_json_node *add(gt_json_writer *w, gt_json_node *to, const char *key, gt_json_node *item)
{
    const bool added =
        !w->failed && item && (key ? cJSON_AddItemToObject(to, key, item) : cJSON_AddItemToArray(to, item));
    if (added) return item;
    w->failed = true;
    cJSON_Delete(item);
    return NULL;
}

gt_json_node *gt_json_add_object(gt_json_writer *w, gt_json_node *to, const char *key)
{
    return add(w, to, key, cJSON_CreateObject());
}

gt_json_node *gt_json_add_array(gt_json_writer *w, gt_json_node *to, const char *key)
{
    return add(w, to, key, cJSON_CreateArray());
}

void gt_json_add_null(gt_json_writer *w, gt_json_node *to, const char *key)
{
    add(w, to, key, cJSON_CreateNull());
}

void gt_json_add_bool(gt_json_writer *w, gt_json_node *to, const char *key, bool value)
{
    add(w, to, key, cJSON_CreateBool(value));
}

void gt_json_add_raw(gt_json_writer *w, gt_json_node *to, const char *key, const char *json)
{
    add(w, to, key, cJSON_CreateRaw(json));
}

void gt_json_add_int(gt_json_writer *w, gt_json_node *to, const char *key, int64_t value)
{
    char digits[DIGITS];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    gt_json_add_raw(w, to, key, digits);
}

void gt_json_add_number(gt_json_writer *w, gt_json_node *to, const char *key, double value, int digits)
{
    char text[DIGITS];
    if (!isfinite(value)) {
        gt_json_add_null(w, to, key);
        return;
    }
    if (value == floor(value) && fabs(value) < 0x1p53)
        snprintf(text, sizeof text, "%.0f", value);
    else
        for (int n = 1; n <= digits; n++) {
            snprintf(text, sizeof text, "%.*g", n, value);
            if (strtod(text, NULL) == value) break;
        }
    gt_json_add_raw(w, to, key, text);
}

/* The shortest text that `same` finds to be the number. */
static void add_real(gt_json_writer *w, gt_json_node *to, const char *key, double value,
                     bool (*same)(const char *text, double value))
{
    char text[DIGITS];
    if (!isfinite(value)) {
        gt_json_add_null(w, to, key);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (same(text, value)) break;
    }
    if (!strpbrk(text, ".e")) memcpy(text + strlen(text), ".0", sizeof ".0");
    gt_json_add_raw(w, to, key, text);
}

static bool same_double(const char *text, double value)
{
    return strtod(text, NULL) == value;
}

static bool same_float(const char *text, double value)
{
    return strtof(text, NULL) == (float)value;
}

void gt_json_add_real(gt_json_writer *w, gt_json_node *to, const char *key, double value)
{
    add_real(w, to, key, value, same_double);
}

void gt_json_add_real32(gt_json_writer *w, gt_json_node *to, const char *key, float value)
{
    add_real(w, to, key, (double)value, same_float);
}

void gt_json_add_text(gt_json_writer *w, gt_json_node *to, const char *key, const char *text)
{
    if (text)
        gt_json_add_bytes(w, to, key, text, strlen(text));
    else
        gt_json_add_null(w, to, key);
}

void gt_json_add_bytes(gt_json_writer *w, gt_json_node *to, const char *key, const char *bytes, size_t size)
{
    gt_text mended = {0};
    for (size_t i = 0; i < size;) {
        const int n = bytes[i] ? gt_utf8_decode(bytes + i, size - i, NULL) : 0;
        gt_text_add(&mended, n ? bytes + i : "\xef\xbf\xbd", n ? (size_t)n : 3);
        i += n ? (size_t)n : 1;
    }
    gt_text_add(&mended, "", 0);
    add(w, to, key, mended.failed ? NULL : cJSON_CreateString(mended.data));
    gt_text_free(&mended);
}

gt_status gt_json_end(gt_json_writer *w, gt_text *out, gt_json_layout layout, const char *where)
{
    char *text = NULL;
    if (!w->failed) text = layout == GT_JSON_LINE ? cJSON_PrintUnformatted(w->root) : cJSON_Print(w->root);
    if (text) gt_text_addf(out, "%s%s", text, layout == GT_JSON_PAGE ? "\n" : "");
    const bool failed = !text || out->failed;
    cJSON_free(text);
    gt_json_abandon(w);
    return failed ? GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its JSON", where) : GT_OK;
}

void gt_json_abandon(gt_json_writer *w)
{
    cJSON_Delete(w->root);
    *w = (gt_json_writer){0};
}
