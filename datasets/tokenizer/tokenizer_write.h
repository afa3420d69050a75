/* tokenizer_write.h - a tokenizer as the files that the Hugging Face libraries load, however it was read: a GGUF's
 * vocabulary, with the merges that were made from its scores, becomes a tokenizer.json. */
#ifndef GT_TOKENIZER_WRITE_H
#define GT_TOKENIZER_WRITE_H

#include "text.h"
#include "tokenizer.h"

/* Appends a tokenizer.json (tokenizers library, version 1.0): Gemma's normalizer, BPE with byte fallback, decoder,
 * added tokens and the bos and eos that plain text gets. text->failed when memory ran out. About 33 MB for Gemma 3. */
void gt_tokenizer_write_json(gt_text *text, const gt_tokenizer *t);

/* Appends the tokenizer_config.json beside it. GT_ERR_NOMEM. */
gt_status gt_tokenizer_write_config(gt_text *text, const gt_tokenizer *t);

#endif
