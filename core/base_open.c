#include "base_open.h"

#include <stdbool.h>

/* The values that a bf16 copy of this base would hold: every matrix is rounded when decoded, every norm is 1 + w with w
 * rounded. */
static void hold_as_bf16(gt_weights *w)
{
    const gt_model_config *c = &w->config;
    w->embed.round_to = GT_BF16;
    for (int l = 0; l < c->num_hidden_layers; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) w->proj[l][p].round_to = GT_BF16;
        for (int n = 0; n < GT_NORM_COUNT; n++) {
            int size = n == GT_Q_NORM || n == GT_K_NORM ? c->head_dim : c->hidden_size;
            for (int i = 0; i < size; i++)
                w->norm[l][n][i] = 1.0f + gt_bf16_to_f32(gt_f32_to_bf16(w->norm[l][n][i] - 1.0f));
        }
    }
    for (int i = 0; i < c->hidden_size; i++)
        w->final_norm[i] = 1.0f + gt_bf16_to_f32(gt_f32_to_bf16(w->final_norm[i] - 1.0f));
}

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

gt_status gt_base_open(gt_weights **out, const char *model, gt_base_dtype dtype)
{
    gt_weights *w;
    GT_TRY(gt_weights_open(&w, model));
    gt_status st = GT_OK;
    if (dtype == GT_BASE_BF16) hold_as_bf16(w);
    if (dtype == GT_BASE_NF4) st = check_nf4(w, model);
    if (st == GT_OK)
        *out = w;
    else
        gt_weights_close(w);
    return st;
}
