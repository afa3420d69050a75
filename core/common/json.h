/* json.h - a strict reader (RFC 8259) for JSON that comes from outside: rows, tokenizer.json, safetensors headers,
 * configs. Refuses what cJSON lets pass: bytes after the value, bad UTF-8 (overlong, surrogates, above U+10FFFF), lone
 * surrogate escapes, duplicate keys, raw control characters, numbers like 01 or 1., nesting above a limit. Strings may
 * hold U+0000: lengths count. Linear time and memory in the input's size; a text that packs more than 500,000 values
 * and one more for every 16 bytes is refused, because a value of two bytes costs about a hundred in memory. */
#ifndef GT_JSON_H
#define GT_JSON_H

#include "status.h"
#include "text.h" /* gt_text: writers of JSON use it */
#include "utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    GT_JSON_NULL,
    GT_JSON_FALSE,
    GT_JSON_TRUE,
    GT_JSON_NUMBER,
    GT_JSON_STRING,
    GT_JSON_ARRAY,
    GT_JSON_OBJECT
} gt_json_type;

/* A value inside a document; valid as long as the document. Treat as read-only. */
typedef struct gt_json {
    gt_json_type type : 8;
    bool is_integer : 1; /* written without fraction or exponent, and fits */
    uint32_t count;      /* array elements, object members */
    double number;
    int64_t integer;    /* the number when is_integer */
    const char *string; /* decoded, `length` bytes, and a NUL behind them that is not counted */
    size_t length;
    const char *key; /* member name inside an object, decoded, NUL behind it; else NULL */
    size_t key_length;
    const struct gt_json *child; /* first element or member */
    const struct gt_json *next;  /* next sibling */
    size_t offset;               /* byte offset in the text, for messages */
} gt_json;

typedef struct gt_json_doc gt_json_doc;

enum { GT_JSON_MAX_DEPTH = 64, GT_JSON_FREE_VALUES = 500000 };

/* Parses text[0..size). where: a path or "file:line" for messages. The document keeps no pointer into text.
 * GT_ERR_DATA with line and column of the fault. */
gt_status gt_json_parse(gt_json_doc **out, const char *text, size_t size, const char *where);

/* The same for texts that are dense by nature, one value for every 8 bytes: a tokenizer.json without spaces has one for
 * every 7.7. */
gt_status gt_json_parse_dense(gt_json_doc **out, const char *text, size_t size, const char *where);
const gt_json *gt_json_root(const gt_json_doc *d);
void gt_json_free(gt_json_doc *d); /* NULL is fine */

/* Member of an object by name, NULL if absent or not an object. Constant time for large objects. */
const gt_json *gt_json_get(const gt_json *object, const char *key);
/* Whether v (NULL: no) is this string, or an integer in this range. */
bool gt_json_is_string(const gt_json *v, const char *text);
bool gt_json_is_int(const gt_json *v, int64_t least, int64_t most);

/* Whether a string (or key) holds no NUL byte, so that C strings serve for it. */
bool gt_json_c_string(const gt_json *v);

#endif
