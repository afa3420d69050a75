/* inspect_base.h - what a base model holds, as text for people: a Hugging Face folder, a GGUF, a .gtq, a hub id. */
#ifndef GT_INSPECT_BASE_H
#define GT_INSPECT_BASE_H

#include "status.h"
#include "text.h"

/* Appends lines "  name   value" to out. Reads and checks as gt_weights_open does; a tokenizer that cannot be read is
 * told and no failure. On failure what was appended stays; the error names the file. */
gt_status gt_inspect_base(gt_text *out, const char *model);

/* Reads a base whole and appends whether it is what its digests say (only a .gtq holds any). GT_ERR_DATA names the
 * tensor. */
gt_status gt_inspect_verify(gt_text *out, const char *model);

#endif
