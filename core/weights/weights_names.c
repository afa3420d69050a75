#include "weights.h"

static const char *const paths[GT_PROJ_COUNT] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                 "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                 "mlp.down_proj"};

const char *gt_proj_path(gt_proj p)
{
    return paths[p];
}
const char *gt_proj_name(gt_proj p)
{
    return paths[p] + (p < GT_GATE_PROJ ? 10 : 4);
}

void gt_proj_shape(const gt_model_config *c, gt_proj p, int *rows, int *cols)
{
    const int h = c->hidden_size, f = c->intermediate_size;
    const int q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    const int shape[GT_PROJ_COUNT][2] = {{q, h}, {kv, h}, {kv, h}, {h, q}, {f, h}, {f, h}, {h, f}};
    *rows = shape[p][0];
    *cols = shape[p][1];
}

uint64_t gt_weights_parameters(const gt_weights *w)
{
    const gt_model_config *c = &w->config;
    uint64_t layer = 4u * (uint64_t)c->hidden_size + 2u * (uint64_t)c->head_dim;
    for (int p = 0; p < GT_PROJ_COUNT; p++) {
        int rows, cols;
        gt_proj_shape(c, (gt_proj)p, &rows, &cols);
        layer += (uint64_t)rows * (uint64_t)cols;
    }
    return layer * (uint64_t)c->num_hidden_layers + (uint64_t)c->vocab_size * (uint64_t)c->hidden_size +
           (uint64_t)c->hidden_size;
}
