/* text.h - a string that grows; strings for JSON, sizes for people; what a string begins and ends with. */
#ifndef GT_TEXT_H
#define GT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a string begins, or ends, with another. */
bool gt_begins_with(const char *text, const char *begin);
bool gt_ends_with(const char *text, const char *end);

/* Zero it to begin: gt_text t = {0}. */
typedef struct {
    char *data; /* owned, NUL-terminated; NULL before the first addition */
    size_t size, capacity;
    bool failed; /* out of memory: remembered; later additions do nothing */
} gt_text;

/* Appends bytes, or what printf would print. */
void gt_text_add(gt_text *t, const char *bytes, size_t size);
void gt_text_addf(gt_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends bytes as a JSON string with its quotes. Bytes that are no valid UTF-8 become U+FFFD, one each. */
void gt_text_add_json_string(gt_text *t, const char *bytes, size_t size);

/* Appends a number of bytes as "17 bytes", "241.4 MiB" and the like. */
void gt_text_add_bytes(gt_text *t, uint64_t bytes);

/* Makes bytes [size] safe to show: control characters but newlines and tabs become '?', so that a name from a hostile
 * file cannot steer a terminal. In place; the size stays. */
void gt_tame_text(char *bytes, size_t size);

/* Empties it and keeps the memory for the next use. */
void gt_text_clear(gt_text *t);
void gt_text_free(gt_text *t); /* NULL and zeroed structs are fine */

#endif
