#include "flops.h"

/* Query-key pairs a causal document of n tokens has, within a window when window > 0. */
static double pairs(int n, int window)
{
    const double all = (double)n * (n + 1) / 2;
    if (window <= 0 || n <= window) return all;
    const double hidden = n - window; /* query i sees window keys once i >= window */
    return all - hidden * (hidden + 1) / 2;
}

static double weights_of(const gt_model_config *c, int first, int last)
{
    double sum = 0;
    for (int p = first; p <= last; p++) {
        int rows, cols;
        gt_proj_shape(c, (gt_proj)p, &rows, &cols);
        sum += (double)rows * cols;
    }
    return sum;
}

void gt_flops_add(gt_flops *f, const gt_model_config *c, const gt_lora *lora, gt_keep keep, int n, int targets)
{
    const double full = 2.0 * n * weights_of(c, GT_Q_PROJ, GT_DOWN_PROJ);
    const double qkv = 2.0 * n * weights_of(c, GT_Q_PROJ, GT_V_PROJ);
    const double gate_up = 2.0 * n * weights_of(c, GT_GATE_PROJ, GT_UP_PROJ);
    const double head = 2.0 * targets * (double)c->vocab_size * c->hidden_size;
    const int layers = c->num_hidden_layers, lowest = lora ? lora->lowest_layer : layers;
    double linear = 0, attention = 0, adapter = 0, total = 0;
    /* behind the last layer's attention only rows with a target are computed (gt_forward_options.targets_only) */
    const double end = 2.0 * targets * weights_of(c, GT_O_PROJ, GT_DOWN_PROJ);
    const bool few = lora && targets > 0 && targets < n;
    for (int l = 0; l < layers; l++) {
        const double layer = few && l == layers - 1 ? qkv + end : full;
        const double pair =
            4.0 * pairs(n, c->layer_is_full[l] ? 0 : c->sliding_window) * c->num_attention_heads * c->head_dim;
        double low = 0;
        for (int p = 0; lora && p < GT_PROJ_COUNT; p++) {
            int rows, cols;
            gt_proj_shape(c, (gt_proj)p, &rows, &cols);
            low += 2.0 * n * lora->slot[l][p].r * ((double)rows + cols);
        }
        linear += layer;
        attention += pair;
        adapter += low;
        total += layer + pair + low;
        if (l < lowest) continue;
        /* input gradients; of attention: scores again, then dV, dP, dQ, dK (5 products of the forward's 2) */
        total += layer - (l == lowest ? qkv : 0) + 2.5 * pair + 2.5 * low;
        if (keep == GT_KEEP_INPUTS && l < layers - 1) total += layer + pair + low;
        if (keep == GT_KEEP_NO_MLP && l < layers - 1) total += gate_up;
    }
    f->linear += linear;
    f->attention += attention;
    f->adapter += adapter;
    f->head += head;
    f->total += total + (lora ? 2 : 1) * head;
}
