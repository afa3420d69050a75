/* base_open.h - a base as a run wants it: opened from wherever it is stored, and held in the dtype asked for. */
#ifndef GT_BASE_OPEN_H
#define GT_BASE_OPEN_H

#include "recipe.h"
#include "weights.h"

/* native: the values as stored, a GGUF's blocks included. bf16: the values rounded to bf16 as they are decoded (nothing is
 * copied). nf4: the projections must be NF4 already (a .gtq, or a folder that bitsandbytes wrote); others are refused with
 * the command that packs them. *out is the caller's; gt_weights_close. GT_ERR_CONFIG besides gt_weights_open's. */
gt_status gt_base_open(gt_weights **out, const char *model, gt_base_dtype dtype);

#endif
