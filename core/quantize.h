/* quantize.h - from a model as it is published to a 4-bit base: the command, and the same at the start of a run. */
#ifndef GT_QUANTIZE_H
#define GT_QUANTIZE_H

#include "comm.h"
#include "pool.h"
#include "text.h"
#include "weights.h"

#include <stdbool.h>

typedef struct {
    const char *model; /* any MODEL; for bnb also one that is 4-bit already */
    const char *out;   /* FILE.gtq, or with bnb a folder */
    bool bnb;          /* a Hugging Face folder as bitsandbytes serializes it */
    bool double_quant; /* quantize the scales too */
    bool replace;      /* --force */
} gt_quantize_options;

/* Collective (comm NULL: this process alone). Writes the packed base with the model's tokenizer inside, or the folder with the
 * tokenizer's files; nothing is left on failure. report (may be NULL): lines for the user, on rank 0. */
gt_status gt_quantize(const gt_quantize_options *o, gt_comm *comm, gt_pool *pool, gt_text *report);

/* Collective. Makes *w an NF4 base: left as it is when its projections are NF4 (then double quantization must be as asked:
 * GT_ERR_CONFIG), otherwise packed by all ranks together into one temporary file in folder (NULL: the system's temporary
 * folder; one folder for all ranks), which every rank maps and which is unlinked at once: its memory is shared by the ranks of
 * a node and goes back with the last of them. The old *w is closed. On failure *w is unchanged. */
gt_status gt_quantize_at_load(gt_weights **w, bool double_quant, const char *folder, gt_comm *comm, gt_pool *pool);

#endif
