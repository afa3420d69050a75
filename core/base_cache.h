/* base_cache.h - a 4-bit base for training from any MODEL: packed once into the cache folder, mapped from then on. */
#ifndef GT_BASE_CACHE_H
#define GT_BASE_CACHE_H

#include "comm.h"
#include "weights.h"

/* Collective. Opens model with NF4 projections. A .gtq, or a folder that bitsandbytes wrote, is opened as it is (GT_ERR_CONFIG
 * when its scales are not quantized as double_quant says). Any other is quantized by all ranks together into
 * $GEMTUNE_CACHE, $XDG_CACHE_HOME/gemtune or ~/.cache/gemtune, under a name made from its files' paths, sizes and times of
 * change, so a second start only maps it. Ranks on several machines need one cache folder that all of them see.
 * tokenizer: as gt_gtq_options, or NULL. *out is the caller's. */
gt_status gt_base_open_nf4(gt_weights **out, const char *model, bool double_quant, int threads, gt_comm *c);

/* The folder above, malloc'ed; made if absent. GT_ERR_IO, GT_ERR_CONFIG: no variable names one. */
gt_status gt_cache_folder(char **out);

#endif
