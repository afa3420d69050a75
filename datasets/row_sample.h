/* row_sample.h - one row of any known format into a sample. The format is told by its members, the first that fits:
 *
 *   {"ids": [2, ...], "prompt_tokens": n}             tokens as they are; supervised from prompt_tokens on
 *                                                   (absent or 0: all)
 *   {"messages": [{"role", "content"}, ...]}          a chat; its last assistant turn, or every one (assistant_only)
 *   {"conversations": [{"from", "value"}, ...]}       the same as ShareGPT spells it
 *   {"prompt": "...", "completion": "..."}            plain: joined, eos appended; the completion
 *   {"prompt": [messages], "completion": [messages]}  conversational: one chat; everything behind the prompt
 *   {"question", "options" or "A", "B", ...}          multiple choice (choice.h); the answer
 *   {"instruction", "input", "output"}                Alpaca: a chat of instruction, blank line, input; the output
 *   {"text": "..."}                                   plain, eos appended; all of it
 *
 * Other members are ignored. An answer in a chat is its content, <end_of_turn> and the newline behind it
 * (docs/model/tokenizer.md section 7). supervise = GT_SUPERVISE_ALL takes all tokens of every format. */
#ifndef GT_ROW_SAMPLE_H
#define GT_ROW_SAMPLE_H

#include "json.h"
#include "load_options.h"
#include "sample.h"
#include "tokenizer.h"

/* What happened to rows that were taken all the same; counted up. */
typedef struct {
    size_t bos_stripped; /* plain texts that began with <bos> themselves and got no second one */
    size_t explained;    /* multiple-choice rows with an explanation ("cot"), which is not learnt */
    size_t joint_tokens; /* plain prompts whose last token joined with the completion's begin: the border is moved */
} gt_row_notes;

/* tok may be NULL for rows of ids. out->row is left 0. A row whose sample has no label is not an error here.
 * GT_ERR_DATA names the member; GT_ERR_CONFIG: text without a tokenizer; GT_ERR_NOMEM. */
gt_status gt_row_sample(gt_sample *out, const gt_json *row, const gt_load_options *o, const gt_tokenizer *tok,
                        gt_row_notes *notes);

#endif
