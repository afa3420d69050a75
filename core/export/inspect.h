/* inspect.h - what a model, an adapter or a tensor file holds, as text for people (gemtune inspect). */
#ifndef GT_INSPECT_H
#define GT_INSPECT_H

#include "status.h"
#include "text.h"

typedef enum {
    GT_INSPECT_BASE,    /* a Hugging Face folder, a GGUF, a .gtq, a hub id */
    GT_INSPECT_ADAPTER, /* a folder with adapter_config.json */
    GT_INSPECT_TENSORS, /* one .safetensors file */
    GT_INSPECT_OTHER    /* none of these: a dataset, a checkpoint, anything */
} gt_inspect_kind;

/* What a path is, by what is there; nothing is opened but the first bytes of a file. A name that does not exist is
 * GT_INSPECT_BASE if it may be a hub id, else GT_INSPECT_OTHER. */
gt_inspect_kind gt_inspect_what(const char *path);

/* Appends lines "  name   value" to out, ended by newlines. Reads headers and validates them; of contents only the
 * norms. On failure what was appended stays; the error names the file. GT_ERR_ARG: GT_INSPECT_OTHER. */
gt_status gt_inspect(gt_text *out, gt_inspect_kind kind, const char *path);

#endif
