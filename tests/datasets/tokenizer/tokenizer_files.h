/* tokenizer_files.h - the real Gemma 3 tokenizer and the golden cases, for tests; skips visibly where they are absent.
 */
#ifndef GT_TOKENIZER_FILES_H
#define GT_TOKENIZER_FILES_H

#include "chat.h"
#include "testing.h"
#include "tokenizer.h"

/* The text of tokenizer.json, unpacked by xz into memory: malloc'ed. Skips the running test where the file or xz is
 * absent. */
char *gemma_tokenizer_json(size_t *size);

/* The tokenizer made of it, made once and shared by a program's tests. Not to be freed or changed. */
const gt_tokenizer *gemma_tokenizer(void);

/* A tokenizer of about 300 pieces written here, so that tests run anywhere: 256 byte pieces, letters a-e, U+2581,
 * control tokens, runs of newlines, <b>, merges. To be freed by the caller. */
gt_tokenizer *small_tokenizer(void);
/* Its tokenizer.json; `extra` goes into added_tokens behind the others ("" or ",{...}"). malloc'ed. */
char *small_tokenizer_json(const char *extra);

/* Calls check with each parsed line of a golden JSONL file; returns how many lines there were. */
typedef void (*check_line)(const gt_tokenizer *t, const gt_json *line, size_t number);
size_t for_each_line(const char *path, const gt_tokenizer *t, check_line check);

/* Whether ids equal a JSON array of integers; prints both when not. */
bool ids_equal(const int32_t *ids, size_t count, const gt_json *want);

/* The checks of golden/tokenizer/cases.jsonl: ids of "text" and text of "ids" without BOS. */
void check_golden_text(const gt_tokenizer *t, const gt_json *line, size_t number);

#endif
