/* json_write.h - JSON documents that we write (configs, metrics, results): built as a tree and printed with cJSON,
 * their members in the order in which they are added.
 *
 *   gt_json_writer w = {0};
 *   gt_json_node *root = gt_json_begin(&w);
 *   gt_json_add_text(&w, root, "peft_type", "LORA");
 *   gt_json_node *layers = gt_json_add_array(&w, root, "layers");
 *   gt_json_add_int(&w, layers, NULL, 3);
 *   GT_TRY(gt_json_end(&w, &text, GT_JSON_PAGE, path));
 *
 * What fails for want of memory is remembered and told once, by gt_json_end. Numbers are printed here: cJSON prints a
 * double with 15 digits where that is only nearly the same, an integer above 10^15 with an exponent, and 1.0 as 1. */
#ifndef GT_JSON_WRITE_H
#define GT_JSON_WRITE_H

#include "status.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cJSON gt_json_node;

typedef struct {
    gt_json_node *root; /* owned */
    bool failed;        /* out of memory: later additions do nothing */
} gt_json_writer;

typedef enum {
    GT_JSON_LINE, /* one line without spaces; its newline is the caller's */
    GT_JSON_PAGE  /* a file: a member a line, indented by tabs, and a newline at its end */
} gt_json_layout;

/* The document's outermost object; w is zeroed. */
gt_json_node *gt_json_begin(gt_json_writer *w);

/* Below: `to` is an object and key its member's name (UTF-8; copied), or `to` is an array and key is NULL. A `to` of
 * NULL is one that could not be made. */
gt_json_node *gt_json_add_object(gt_json_writer *w, gt_json_node *to, const char *key);
gt_json_node *gt_json_add_array(gt_json_writer *w, gt_json_node *to, const char *key);
void gt_json_add_null(gt_json_writer *w, gt_json_node *to, const char *key);
void gt_json_add_bool(gt_json_writer *w, gt_json_node *to, const char *key, bool value);
void gt_json_add_int(gt_json_writer *w, gt_json_node *to, const char *key, int64_t value); /* all 64 bits */

/* At most `digits` significant digits (17: exact), fewer where those say the same; a whole number below 2^53 has all
 * its digits and no point. Not finite: null. */
void gt_json_add_number(gt_json_writer *w, gt_json_node *to, const char *key, double value, int digits);

/* The fewest digits that read back as the same double, or the same float; a whole number ends in ".0" or has an
 * exponent: there are readers that insist on a number being written as a real one. Not finite: null. */
void gt_json_add_real(gt_json_writer *w, gt_json_node *to, const char *key, double value);
void gt_json_add_real32(gt_json_writer *w, gt_json_node *to, const char *key, float value);

/* NULL: null. Bytes that are no valid UTF-8 become U+FFFD, one each; so do zero bytes, which cJSON's strings cannot
 * hold. */
void gt_json_add_text(gt_json_writer *w, gt_json_node *to, const char *key, const char *text);
void gt_json_add_bytes(gt_json_writer *w, gt_json_node *to, const char *key, const char *bytes, size_t size);

/* A value that is JSON text already: long lists of numbers, digits that no type here holds. */
void gt_json_add_raw(gt_json_writer *w, gt_json_node *to, const char *key, const char *json);

/* Appends the document to out and frees the tree. where: for the message of GT_ERR_NOMEM, the only failure. */
gt_status gt_json_end(gt_json_writer *w, gt_text *out, gt_json_layout layout, const char *where);

/* For who stops half-way: frees the tree. Zeroed and ended writers are fine. */
void gt_json_abandon(gt_json_writer *w);

#endif
