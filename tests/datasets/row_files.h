/* row_files.h - files of rows made by tests, and loading them in one call. */
#ifndef GT_ROW_FILES_H
#define GT_ROW_FILES_H

#include "samples.h"
#include "testing.h"

/* Writes bytes to a fresh file `name` and returns its path (a ring of 8). */
const char *row_file(const char *name, const void *bytes, size_t size);
const char *row_text(const char *name, const char *text);

/* Loads one file. */
gt_status load_rows(gt_samples *out, const char *path, const gt_tokenizer *tok, const gt_load_options *o);

/* One row of JSON with the small tokenizer, all options default but those of o (NULL: all). */
gt_status load_row(gt_samples *out, const char *json, const gt_load_options *o);

/* The small tokenizer, made once. */
const gt_tokenizer *shared_small_tokenizer(void);

#endif
