/* layer.h - private to core/model: one layer of one pass, as forward.c and its mirror backward.c see it. */
#ifndef GT_LAYER_H
#define GT_LAYER_H

#include "batch.h"
#include "kv_source.h"
#include "linear.h"
#include "model.h"
#include "pass.h"

/* The names of docs/model/gemma3.md section 2, and who computes. n: the rows computed, the batch's or, behind the last
 * layer's attention in training, those of its targets. */
typedef struct {
    gt_model *m;
    gt_pass *p;
    const gt_batch *b;
    const gt_span_source *source; /* [b->docs], or NULL: documents by themselves, with the model's adapter */
    const gt_model_config *f;
    const gt_kernels *k;
    gt_exec *x;
    int n, H, F, Q, K;
    gt_lora_work lora;
    int layer;
    const gt_layer_weights *w;
    gt_layer_acts *s;
    float *grad; /* backward: [lora->count] f32, where the adapter's gradients are added */
} gt_layer_call;

/* For all layers of one pass; gt_layer_enter picks one. */
gt_layer_call gt_layer_call_make(gt_model *m, gt_pass *p, const gt_batch *b, const gt_span_source *source);

/* Turns to a layer whose weights are held. */
void gt_layer_enter(gt_layer_call *c, int layer, const gt_layer_weights *w);

/* The same layer for the targets' rows alone. */
gt_layer_call gt_layer_few(const gt_layer_call *c);

/* Row `row` of [n, width] act. */
static inline void *gt_layer_row(const gt_layer_call *c, const void *rows, int row, int width)
{
    return (char *)(uintptr_t)rows + (size_t)row * (size_t)width * (size_t)gt_dtype_block_bytes(c->k->act);
}

/* The frozen weight of a projection; the rows of its products. */
gt_linear_weight gt_layer_weight(const gt_layer_call *c, gt_proj p);
gt_linear_rows gt_layer_rows(const gt_layer_call *c);

/* The part of an adapter in a projection, over rows [begin, begin + n). */
gt_lora_call gt_layer_lora(const gt_layer_call *c, const gt_lora *lora, gt_proj p, int begin, int n);

/* out = RMSNorm(in) over H, with one of the layer's norms: section 2.2. */
gt_status gt_layer_norm(const gt_layer_call *c, void *out, const void *in, gt_norm which);

/* q_rot, k_rot = RoPE(RMSNorm(q, k)) per head, with the tables of the layer's kind: sections 2.2 and 2.3. */
gt_status gt_layer_norm_rope(const gt_layer_call *c);

/* The attention of the layer over all documents (section 2.4), with q_rot, and keys and values where they are: the
 * batch's own k_rot and v, or a source's. Valid until the next call: spans lie in the pass. */
gt_attn gt_layer_attention(const gt_layer_call *c);

#endif
