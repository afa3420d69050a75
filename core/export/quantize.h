/* quantize.h - from a model as it is published to a 4-bit base on disk. A run packs its base itself: base_cache.h. */
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

/* Collective (comm NULL: this process alone). Writes the packed base with the model's tokenizer inside, or the folder
 * with the tokenizer's files (from the packed form that gt_base_pack keeps in the cache); nothing is left on failure.
 * report (may be NULL): lines for the user, on rank 0. */
gt_status gt_quantize(const gt_quantize_options *o, gt_comm *comm, gt_pool *pool, gt_text *report);

#endif
