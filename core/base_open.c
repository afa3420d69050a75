#include "base_open.h"

#include "base_dtype.h"

#include <stdbool.h>

static gt_status check_nf4(const gt_weights *w, const char *model)
{
    for (int l = 0; l < w->config.num_hidden_layers; l++)
        for (int p = 0; p < GT_PROJ_COUNT; p++)
            if (w->proj[l][p].dtype != GT_NF4)
                return GT_FAIL(
                    GT_ERR_CONFIG,
                    "%s: layer %d's %s is %s, not NF4; pack the base once with: gemtune quantize %s -o FILE.gtq", model,
                    l, gt_proj_name((gt_proj)p), gt_dtype_name(w->proj[l][p].dtype), model);
    return GT_OK;
}

/* A 4-bit value is code * scale, rounded once, to the compute dtype. bitsandbytes rounds to the dtype its file names first,
 * which is the same in bfloat16; in float32 mode the reference's own float32 runs do not (docs/numerics.md). */
static void decode_unrounded(gt_weights *w)
{
    for (int l = 0; l < w->config.num_hidden_layers; l++)
        for (int p = 0; p < GT_PROJ_COUNT; p++)
            if (w->proj[l][p].dtype == GT_NF4 || w->proj[l][p].dtype == GT_FP4) w->proj[l][p].round_to = GT_F32;
}

gt_status gt_base_open(gt_weights **out, const char *model, gt_base_dtype dtype)
{
    gt_weights *w;
    GT_TRY(gt_weights_open(&w, model));
    gt_status st = GT_OK;
    decode_unrounded(w);
    if (dtype == GT_BASE_BF16) gt_weights_round_to_bf16(w);
    if (dtype == GT_BASE_NF4) st = check_nf4(w, model);
    if (st == GT_OK)
        *out = w;
    else
        gt_weights_close(w);
    return st;
}
