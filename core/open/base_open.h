/* base_open.h - a base as a run wants it: opened from wherever it is stored, and held in the dtype asked for. */
#ifndef GT_BASE_OPEN_H
#define GT_BASE_OPEN_H

#include "base_dtype.h"
#include "comm.h"
#include "weights.h"

#include <stdbool.h>

/* The scales of an NF4 base: float32, or quantized again. */
typedef enum {
    GT_SCALES_ANY, /* as they are; quantized again where the base is packed now */
    GT_SCALES_PLAIN,
    GT_SCALES_NESTED
} gt_scales;

typedef struct {
    gt_base_dtype dtype;
    gt_scales scales; /* nf4: what they must be */
    /* 4-bit values are rounded to the dtype their file names, as other programs do, and not once only, to the compute
     * dtype: for what is written for others (docs/numerics.md) */
    bool as_stored;
    int threads; /* of the packing; 0: the CPUs this process may run on */
} gt_base_options;

/* Collective (comm NULL: this process alone).
 * native: the values as stored, a GGUF's blocks included. bf16: the values rounded to bf16 as they are decoded (nothing
 * is copied). nf4: a base that is NF4 already (a .gtq, or a folder that bitsandbytes wrote) as it is, any other packed
 * by gt_base_pack. GT_ERR_CONFIG: its scales are not those asked for, or it is FP4 (gt_weights_fourbit). *out is the
 * caller's; gt_weights_close. */
gt_status gt_base_open(gt_weights **out, const char *model, const gt_base_options *o, gt_comm *comm);

#endif
