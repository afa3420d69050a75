#include "backward.h"

#include "resident.h"
#include "signals.h"

#include <string.h>

typedef struct {
    gt_model *m;
    gt_pass *p;
    const gt_batch *b;
    const gt_layer_weights *w;
    gt_layer_acts *s;
    float *grad;
    gt_lora_work lora;
    int layer, n, H, F, Q, K;
    bool lowest; /* no adapter below this layer's input: nothing is wanted behind its own adapters */
} call;

static void *row_at(const call *c, const void *base, int row, int width)
{
    return (char *)base + (size_t)row * (size_t)width * (size_t)gt_dtype_block_bytes(c->m->k->act);
}

/* d_in (+)= d_out W, then the adapter's gradients and its part of d_in. in: the projection's input. */
static gt_status linear_bwd(const call *c, gt_proj p, void *d_in, gt_dtype d_in_dtype, bool accumulate,
                            const void *d_out, const void *in)
{
    int rows, cols;
    gt_proj_shape(c->m->config, p, &rows, &cols);
    const gt_kernels *k = c->m->k;
    if (d_in)
        GT_TRY(k->gemm(&c->m->x, &(gt_gemm){.a = d_out,
                                            .lda = rows,
                                            .b = c->w->proj[p],
                                            .ldb = cols,
                                            .b_order = c->w->order[p],
                                            .c = d_in,
                                            .ldc = cols,
                                            .m = c->n,
                                            .n = cols,
                                            .k = rows,
                                            .alpha = 1,
                                            .beta = accumulate ? 1 : 0,
                                            .c_dtype = d_in_dtype}));
    return gt_lora_backward(c->m->lora, k, &c->m->x, c->m->config, c->layer, p, c->grad, d_in, d_in_dtype, d_out, in,
                            c->n, &c->lora);
}

/* As linear_bwd for a gradient wanted in act: behind dropout the sum is formed in float32 first. */
static gt_status linear_bwd_act(const call *c, gt_proj p, void *d_in, const void *d_out, const void *in)
{
    if (!c->p->d_wide) return linear_bwd(c, p, d_in, c->m->k->act, false, d_out, in);
    int rows, cols;
    gt_proj_shape(c->m->config, p, &rows, &cols);
    GT_TRY(linear_bwd(c, p, c->p->d_wide, GT_F32, false, d_out, in));
    return c->m->k->cast(&c->m->x, d_in, c->m->k->act, c->p->d_wide, GT_F32, (size_t)c->n * (size_t)cols);
}

static gt_status norm_bwd_act(const call *c, void *dx, const float *dy, const void *in, gt_norm which)
{
    return c->m->k->rmsnorm_bwd(&c->m->x, dx, c->m->k->act, false, dy, GT_F32, in, c->w->norm[which], c->n, c->H,
                                c->m->config->rms_norm_eps);
}

/* The residual's gradient takes up what comes back through a pre-norm. */
static gt_status norm_bwd_residual(const call *c, const float *dy, const void *in, gt_norm which)
{
    return c->m->k->rmsnorm_bwd(&c->m->x, c->p->dx, GT_F32, true, dy, GT_F32, in, c->w->norm[which], c->n, c->H,
                                c->m->config->rms_norm_eps);
}

static bool adapted(const call *c, gt_proj p)
{
    return c->m->lora->slot[c->layer][p].r > 0;
}

/* dx: gradient of the layer's output -> of x1, the residual between attention and MLP. */
static gt_status mlp_bwd(const call *c)
{
    const gt_kernels *k = c->m->k;
    gt_pass *p = c->p;
    const size_t wide = (size_t)c->n * (size_t)c->F;
    GT_TRY(norm_bwd_act(c, p->d_small, p->dx, c->s->m, GT_POST_MLP_NORM));
    if (adapted(c, GT_DOWN_PROJ)) GT_TRY(k->geglu(&c->m->x, p->h, c->s->gate, c->s->up, wide));
    GT_TRY(linear_bwd_act(c, GT_DOWN_PROJ, p->d_h, p->d_small, p->h));
    GT_TRY(k->geglu_bwd(&c->m->x, c->s->gate, c->s->up, p->d_h, c->s->gate, c->s->up, wide));
    if (adapted(c, GT_GATE_PROJ) || adapted(c, GT_UP_PROJ))
        GT_TRY(k->rmsnorm(&c->m->x, p->norm_out, c->s->x1, c->w->norm[GT_PRE_MLP_NORM], c->n, c->H,
                          c->m->config->rms_norm_eps));
    GT_TRY(linear_bwd(c, GT_GATE_PROJ, p->d_norm, GT_F32, false, c->s->gate, p->norm_out));
    GT_TRY(linear_bwd(c, GT_UP_PROJ, p->d_norm, GT_F32, true, c->s->up, p->norm_out));
    return norm_bwd_residual(c, p->d_norm, c->s->x1, GT_PRE_MLP_NORM);
}

static gt_status attention_core_bwd(const call *c)
{
    const gt_model_config *f = c->m->config;
    const gt_kernels *k = c->m->k;
    gt_pass *p = c->p;
    const int full = f->layer_is_full[c->layer], d = f->head_dim;
    const float *cos = c->m->rope_cos[full], *sin = c->m->rope_sin[full];
    if (p->keep != GT_KEEP_INPUTS) { /* under full checkpointing the recomputation just left them */
        GT_TRY(k->norm_rope(&c->m->x, p->q_rot, c->Q, c->s->q, c->Q, c->w->norm[GT_Q_NORM], cos, sin, c->b->pos, c->n,
                            f->num_attention_heads, d, f->rms_norm_eps));
        GT_TRY(k->norm_rope(&c->m->x, p->k_rot, c->K, c->s->k, c->K, c->w->norm[GT_K_NORM], cos, sin, c->b->pos, c->n,
                            f->num_key_value_heads, d, f->rms_norm_eps));
    }
    for (int i = 0; i < c->b->docs; i++) {
        const int begin = c->b->doc_begin[i], len = c->b->doc_begin[i + 1] - begin;
        p->span[i] = (gt_attn_span){.q_begin = begin,
                                    .q_len = len,
                                    .q_pos = c->b->pos[begin],
                                    .kv = {.k = row_at(c, p->k_rot, begin, c->K),
                                           .v = row_at(c, c->s->v, begin, c->K),
                                           .stride = c->K,
                                           .len = len,
                                           .pos = c->b->pos[begin]}};
    }
    const gt_attn_grad g = {.fwd = {.heads = f->num_attention_heads,
                                    .kv_heads = f->num_key_value_heads,
                                    .head_dim = d,
                                    .window = full ? 0 : f->sliding_window,
                                    .bidirectional = f->bidirectional,
                                    .scale = c->m->attn_scale,
                                    .span_count = c->b->docs,
                                    .span = p->span,
                                    .q = p->q_rot,
                                    .q_stride = c->Q,
                                    .o = c->s->o,
                                    .lse = c->s->lse},
                            .d_o = p->d_o,
                            .dq = p->dq,
                            .dk = p->dk,
                            .dv = p->dv,
                            .buffer = p->attn_buffer,
                            .buffer_bytes = p->attn_buffer_bytes};
    GT_TRY(k->attention_bwd(&c->m->x, &g));
    GT_TRY(k->norm_rope_bwd(&c->m->x, p->dq, c->Q, p->dq, c->Q, c->s->q, c->Q, c->w->norm[GT_Q_NORM], cos, sin,
                            c->b->pos, c->n, f->num_attention_heads, d, f->rms_norm_eps));
    return k->norm_rope_bwd(&c->m->x, p->dk, c->K, p->dk, c->K, c->s->k, c->K, c->w->norm[GT_K_NORM], cos, sin,
                            c->b->pos, c->n, f->num_key_value_heads, d, f->rms_norm_eps);
}

/* dx: gradient of x1 -> d_o, the gradient of the heads' outputs. */
static gt_status attention_out_bwd(const call *c, void *d_o, const void *o)
{
    GT_TRY(norm_bwd_act(c, c->p->d_small, c->p->dx, c->s->y, GT_POST_ATTENTION_NORM));
    return linear_bwd_act(c, GT_O_PROJ, d_o, c->p->d_small, o);
}

/* The same where the layer's end was computed for the targets' rows alone: gradients of the others are zero. c counts
 * all rows, few those with a target; dx goes from [targets, H] to [n, H]. */
static gt_status few_out_bwd(const call *c, const call *few)
{
    const gt_kernels *k = c->m->k;
    gt_pass *p = c->p;
    const gt_batch *b = c->b;
    if (adapted(c, GT_O_PROJ)) GT_TRY(k->gather_rows(&c->m->x, p->d_h, c->s->o, b->target_row, b->targets, c->Q));
    GT_TRY(attention_out_bwd(few, p->dq, p->d_h));
    memset(row_at(c, p->dq, b->targets, c->Q), 0, (size_t)c->Q * (size_t)gt_dtype_block_bytes(k->act));
    for (int i = 0; i < b->n; i++) p->row_map[i] = b->targets; /* the row of zeros */
    for (int i = 0; i < b->targets; i++) p->row_map[b->target_row[i]] = i;
    GT_TRY(k->gather_rows(&c->m->x, p->d_o, p->dq, p->row_map, b->n, c->Q));
    memcpy(p->d_norm, p->dx, (size_t)b->targets * (size_t)c->H * sizeof *p->dx);
    memset(p->dx, 0, (size_t)b->n * (size_t)c->H * sizeof *p->dx);
    return k->scatter_rows(&c->m->x, p->dx, b->n, p->d_norm, b->target_row, b->targets, c->H);
}

/* d_o, and dx: gradient of x1 -> of the layer's input. */
static gt_status attention_in_bwd(const call *c, const void *x_in)
{
    const gt_kernels *k = c->m->k;
    gt_pass *p = c->p;
    GT_TRY(attention_core_bwd(c));
    if (adapted(c, GT_Q_PROJ) || adapted(c, GT_K_PROJ) || adapted(c, GT_V_PROJ))
        GT_TRY(
            k->rmsnorm(&c->m->x, p->norm_out, x_in, c->w->norm[GT_INPUT_NORM], c->n, c->H, c->m->config->rms_norm_eps));
    float *d_in = c->lowest ? NULL : p->d_norm;
    GT_TRY(linear_bwd(c, GT_Q_PROJ, d_in, GT_F32, false, p->dq, p->norm_out));
    GT_TRY(linear_bwd(c, GT_K_PROJ, d_in, GT_F32, true, p->dk, p->norm_out));
    GT_TRY(linear_bwd(c, GT_V_PROJ, d_in, GT_F32, true, p->dv, p->norm_out));
    if (c->lowest) return GT_OK;
    return norm_bwd_residual(c, p->d_norm, x_in, GT_INPUT_NORM);
}

static gt_status layer_bwd(const call *c)
{
    gt_pass *p = c->p;
    if (p->few && c->layer == c->m->config->num_hidden_layers - 1) {
        call few = *c;
        few.n = c->b->targets;
        if (few.lora.row_key) few.lora.row_key = p->target_key;
        GT_TRY(mlp_bwd(&few));
        GT_TRY(few_out_bwd(c, &few));
    } else {
        GT_TRY(mlp_bwd(c));
        GT_TRY(attention_out_bwd(c, p->d_o, c->s->o));
    }
    return attention_in_bwd(c, p->x[c->layer]);
}

gt_status gt_backward(gt_model *m, gt_pass *p, const gt_batch *batch, float *grad)
{
    const gt_model_config *f = m->config;
    if (!m->lora || !p->training) return GT_FAIL(GT_ERR_ARG, "backward needs an adapter and a training pass");
    call c = {.m = m,
              .p = p,
              .b = batch,
              .grad = grad,
              .lora = p->lora,
              .n = batch->n,
              .H = f->hidden_size,
              .F = f->intermediate_size,
              .Q = f->num_attention_heads * f->head_dim,
              .K = f->num_key_value_heads * f->head_dim};
    for (int l = f->num_hidden_layers - 1; l >= m->lora->lowest_layer; l--) {
        GT_TRY(gt_signals_check());
        if (p->keep != GT_KEEP_ALL && p->live != l)
            GT_TRY(gt_forward_recompute(m, p, batch, l, p->keep == GT_KEEP_NO_MLP));
        p->live = -1;
        GT_TRY(gt_resident_acquire(m, l, GT_ORDER_BACKWARD, &c.w));
        c.layer = l;
        c.s = &p->layer[l];
        c.lowest = l == m->lora->lowest_layer;
        gt_status st = layer_bwd(&c);
        gt_resident_release(m, l);
        GT_TRY(st);
    }
    return GT_OK;
}
