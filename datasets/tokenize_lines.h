/* tokenize_lines.h - JSON lines in, JSON lines out: what `gemtune tokenize` does, without its files.
 *
 *   {"text": "Hello world"}             →  {"ids":[2,9259,1902]}
 *   {"messages": [{"role": …}, …]}      →  {"ids":[…],"prompt_tokens":17}    chat; prompt_tokens when the
 *                                           last turn is the assistant's and no generation prompt is added
 *   {"ids": [9259, 1902]}               →  {"text":"Hello world"}            decode; special tokens are kept
 *   anything wrong                      →  {"error":"line 3: …"}
 *
 * Other members of a line's object are ignored. Exactly one line out for one line in, a blank one too. */
#ifndef GT_TOKENIZE_LINES_H
#define GT_TOKENIZE_LINES_H

#include "json.h"
#include "tokenizer.h"

typedef enum { GT_TOKENIZE_TEXT, GT_TOKENIZE_CHAT, GT_TOKENIZE_DECODE } gt_tokenize_mode;

enum { GT_TOKENIZE_MAX_LINE = 64 << 20 }; /* bytes; a longer line is an error line, the rest of it is passed over */

typedef struct {
    gt_tokenize_mode mode;
    bool add_generation_prompt; /* chat only */
    bool parse_special;         /* control tokens spelled in text or content are parsed */
} gt_tokenize_options;

typedef struct {
    /* Fills buffer with up to capacity bytes, *got = 0 at the end. Its failure ends the run. */
    gt_status (*read)(void *user, char *buffer, size_t capacity, size_t *got);
    /* Takes whole lines; called after every line, so that a pipe is answered as it asks. */
    gt_status (*write)(void *user, const char *bytes, size_t size);
    void *user;
} gt_tokenize_io;

/* Reads to the end. *errors: the number of error lines (exit 65 when not 0). */
gt_status gt_tokenize_lines(const gt_tokenizer *t, const gt_tokenize_options *o, const gt_tokenize_io *io,
                            uint64_t *errors);

#endif
