#include "base_dtype.h"

#include "weights_sources.h"
static void round_factors(float *g, int n)
{
    for (int i = 0; i < n; i++) g[i] = 1.0f + gt_bf16_to_f32(gt_f32_to_bf16(g[i] - 1.0f));
}

static void round_matrix(gt_matrix *m)
{
    if (!gt_dtype_fourbit(m->dtype)) m->round_to = GT_BF16;
}

void gt_weights_round_to_bf16(gt_weights *w)
{
    const gt_model_config *c = &w->config;
    round_matrix(&w->embed);
    round_factors(w->final_norm, c->hidden_size);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) round_matrix(&w->proj[l][p]);
        for (int n = 0; n < GT_NORM_COUNT; n++) round_factors(w->norm[l][n], gt_weights_norm_size(c, (gt_norm)n));
    }
}
