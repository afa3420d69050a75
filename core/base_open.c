#include "base_open.h"

#include "base_dtype.h"
#include "gtq.h"

#include <string.h>

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

/* What this program quantized is decoded to the compute dtype with one rounding, as bitsandbytes does for a model loaded in
 * that dtype; a folder that bitsandbytes wrote names the dtype to round to first. */
static void decode_unrounded(gt_weights *w)
{
    if (!w->packed || strcmp(w->packed->quantizer.rule, "stored") == 0) return;
    for (int l = 0; l < w->config.num_hidden_layers; l++)
        for (int p = 0; p < GT_PROJ_COUNT; p++) w->proj[l][p].round_to = GT_F32;
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
