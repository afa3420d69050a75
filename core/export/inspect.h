/* inspect.h - what a model, an adapter or a tensor file holds, as text for people (gemtune inspect). */
#ifndef GT_INSPECT_H
#define GT_INSPECT_H

#include "status.h"
#include "text.h"

#include <stdint.h>

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

/* Reads a base whole and appends whether it is what its digests say (only a .gtq holds any). GT_ERR_DATA names the
 * tensor. */
gt_status gt_inspect_verify(gt_text *out, const char *model);

/* The three of them. */
gt_status gt_inspect_base(gt_text *out, const char *model);
gt_status gt_inspect_adapter(gt_text *out, const char *folder);
gt_status gt_inspect_tensors(gt_text *out, const char *path);

/* "241.4 MiB" and the like, appended. */
void gt_inspect_add_bytes(gt_text *out, uint64_t bytes);

#endif
