#include "backward.h"

#include "layer.h"
#include "signals.h"

#include <string.h>

/* dX below is the gradient of the loss by X, as in docs/model/backward.md, whose sections are named; which buffer holds
 * it for how long is said in pass.h. */

static bool adapted(const gt_layer_call *c, gt_proj p)
{
    return c->m->lora->slot[c->layer][p].r > 0;
}

/* No adapter below this layer's input: nothing is wanted behind its own adapters. */
static bool lowest(const gt_layer_call *c)
{
    return c->layer == c->m->lora->lowest_layer;
}

static gt_linear_sum in_f32(float *at, bool add)
{
    return (gt_linear_sum){at, GT_F32, .scale = 1, .add = add};
}

/* d_in (+)= d_out W, then the adapter's gradients and its part of d_in: section 1.4. in: the projection's input, read
 * where the projection is adapted. d_in.at NULL: not wanted. */
static gt_status project_bwd(const gt_layer_call *c, gt_proj p, gt_linear_sum d_in, const void *d_out, const void *in)
{
    const gt_linear_rows rows = gt_layer_rows(c);
    const gt_lora_call adapter = gt_layer_lora(c, c->m->lora, p, 0, c->n);
    if (d_in.at) GT_TRY(gt_linear_dx(&rows, d_in, d_out, gt_layer_weight(c, p)));
    return gt_lora_backward(&adapter, c->grad, d_in.at, d_in.dtype, d_out, in);
}

/* As project_bwd for a gradient wanted in act: behind dropout the sum is formed in float32 first. */
static gt_status project_bwd_act(const gt_layer_call *c, gt_proj p, void *d_in, const void *d_out, const void *in)
{
    const gt_dtype act = c->k->act;
    float *wide = c->p->d_wide;
    if (!wide) return project_bwd(c, p, (gt_linear_sum){d_in, act, .scale = 1}, d_out, in);
    GT_TRY(project_bwd(c, p, in_f32(wide, false), d_out, in));
    return c->k->cast(c->x, d_in, act, wide, GT_F32, (size_t)c->n * (size_t)gt_layer_weight(c, p).in);
}

/* d_in = RMSNorm_bw(dx; in): section 1.2, behind a post-norm. */
static gt_status post_norm_bwd(const gt_layer_call *c, void *d_in, const void *in, gt_norm which)
{
    return c->k->rmsnorm_bwd(c->x, d_in, c->k->act, false, c->p->dx, GT_F32, in, c->w->norm[which], c->n, c->H,
                             c->f->rms_norm_eps);
}

/* dx += RMSNorm_bw(dy; in): the residual takes up what comes back through a pre-norm (section 1.3). */
static gt_status pre_norm_bwd(const gt_layer_call *c, const float *dy, const void *in, gt_norm which)
{
    return c->k->rmsnorm_bwd(c->x, c->p->dx, GT_F32, true, dy, GT_F32, in, c->w->norm[which], c->n, c->H,
                             c->f->rms_norm_eps);
}

/* dx2 -> dx1, in p->dx: sections 1.3 and 1.5. */
static gt_status mlp_bwd(const gt_layer_call *c)
{
    const gt_pass *p = c->p;
    const gt_layer_acts *s = c->s;
    const size_t wide = (size_t)c->n * (size_t)c->F;
    void *b = p->norm_out, *h = p->h, *dm = p->d_branch, *dh = p->d_h;
    void *d_gate = s->gate, *d_up = s->up; /* in place: gate and up are dead behind them */
    float *db = p->d_norm;
    GT_TRY(post_norm_bwd(c, dm, s->m, GT_POST_MLP_NORM));
    if (adapted(c, GT_DOWN_PROJ)) GT_TRY(c->k->geglu(c->x, h, s->gate, s->up, wide));
    GT_TRY(project_bwd_act(c, GT_DOWN_PROJ, dh, dm, h));
    GT_TRY(c->k->geglu_bwd(c->x, d_gate, d_up, dh, s->gate, s->up, wide));
    if (adapted(c, GT_GATE_PROJ) || adapted(c, GT_UP_PROJ)) GT_TRY(gt_layer_norm(c, b, s->x1, GT_PRE_MLP_NORM));
    GT_TRY(project_bwd(c, GT_GATE_PROJ, in_f32(db, false), d_gate, b));
    GT_TRY(project_bwd(c, GT_UP_PROJ, in_f32(db, true), d_up, b));
    return pre_norm_bwd(c, db, s->x1, GT_PRE_MLP_NORM);
}

/* dx1 -> d_o, the gradient of the heads' outputs o: section 1.3. */
static gt_status attention_out_bwd(const gt_layer_call *c, void *d_o, const void *o)
{
    void *dy = c->p->d_branch;
    GT_TRY(post_norm_bwd(c, dy, c->s->y, GT_POST_ATTENTION_NORM));
    return project_bwd_act(c, GT_O_PROJ, d_o, dy, o);
}

/* The same where the layer's end was computed for the targets' rows alone: gradients of the others are zero. c counts
 * all rows, few those with a target; d_o is p->d_o, and dx goes from [targets, H] to [n, H]. */
static gt_status few_out_bwd(const gt_layer_call *c, const gt_layer_call *few)
{
    const gt_kernels *k = c->k;
    const gt_batch *b = c->b;
    gt_pass *p = c->p;
    if (adapted(c, GT_O_PROJ)) GT_TRY(k->gather_rows(c->x, p->few_o, c->s->o, b->target_row, b->targets, c->Q));
    GT_TRY(attention_out_bwd(few, p->few_d_o, p->few_o));
    memset(gt_layer_row(c, p->few_d_o, b->targets, c->Q), 0, (size_t)c->Q * (size_t)gt_dtype_block_bytes(k->act));
    for (int i = 0; i < b->n; i++) p->row_map[i] = b->targets; /* the row of zeros */
    for (int i = 0; i < b->targets; i++) p->row_map[b->target_row[i]] = i;
    GT_TRY(k->gather_rows(c->x, p->d_o, p->few_d_o, p->row_map, b->n, c->Q));
    memcpy(p->few_dx, p->dx, (size_t)b->targets * (size_t)c->H * sizeof *p->dx);
    memset(p->dx, 0, (size_t)b->n * (size_t)c->H * sizeof *p->dx);
    return k->scatter_rows(c->x, p->dx, b->n, p->few_dx, b->target_row, b->targets, c->H);
}

/* d_o -> dq, dk, dv, the gradients of what the projections gave: sections 1.6, 1.7 and 1.2. */
static gt_status attention_core_bwd(const gt_layer_call *c)
{
    const gt_model_config *f = c->f;
    const gt_pass *p = c->p;
    const int full = f->layer_is_full[c->layer], d = f->head_dim;
    const float *cos = c->m->rope_cos[full], *sin = c->m->rope_sin[full], eps = f->rms_norm_eps;
    if (p->keep != GT_KEEP_INPUTS) GT_TRY(gt_layer_norm_rope(c)); /* else the recomputation just left q_rot and k_rot */
    const gt_attn_grad g = {.fwd = gt_layer_attention(c),
                            .d_o = p->d_o,
                            .dq = p->dq,
                            .dk = p->dk,
                            .dv = p->dv,
                            .buffer = p->attn_buffer,
                            .buffer_bytes = p->attn_buffer_bytes};
    GT_TRY(c->k->attention_bwd(c->x, &g));
    GT_TRY(c->k->norm_rope_bwd(c->x, p->dq, c->Q, p->dq, c->Q, c->s->q, c->Q, c->w->norm[GT_Q_NORM], cos, sin,
                               c->b->pos, c->n, f->num_attention_heads, d, eps));
    return c->k->norm_rope_bwd(c->x, p->dk, c->K, p->dk, c->K, c->s->k, c->K, c->w->norm[GT_K_NORM], cos, sin,
                               c->b->pos, c->n, f->num_key_value_heads, d, eps);
}

/* d_o, and dx1 -> dx: sections 1.7 (its end) and 1.3. */
static gt_status attention_in_bwd(const gt_layer_call *c, const void *x)
{
    const gt_pass *p = c->p;
    void *a = p->norm_out;
    float *da = lowest(c) ? NULL : p->d_norm;
    GT_TRY(attention_core_bwd(c));
    if (adapted(c, GT_Q_PROJ) || adapted(c, GT_K_PROJ) || adapted(c, GT_V_PROJ))
        GT_TRY(gt_layer_norm(c, a, x, GT_INPUT_NORM));
    GT_TRY(project_bwd(c, GT_Q_PROJ, in_f32(da, false), p->dq, a));
    GT_TRY(project_bwd(c, GT_K_PROJ, in_f32(da, true), p->dk, a));
    GT_TRY(project_bwd(c, GT_V_PROJ, in_f32(da, true), p->dv, a));
    return da ? pre_norm_bwd(c, da, x, GT_INPUT_NORM) : GT_OK;
}

static gt_status layer_bwd(const gt_layer_call *c)
{
    const gt_pass *p = c->p;
    if (p->few && c->layer == c->f->num_hidden_layers - 1) {
        const gt_layer_call few = gt_layer_few(c);
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
    if (!m->lora || !p->training) return GT_FAIL(GT_ERR_ARG, "backward needs an adapter and a training pass");
    gt_layer_call c = gt_layer_call_make(m, p, batch, NULL);
    c.grad = grad;
    for (int l = m->config->num_hidden_layers - 1; l >= m->lora->lowest_layer; l--) {
        const gt_layer_weights *w;
        GT_TRY(gt_signals_check());
        if (p->keep != GT_KEEP_ALL && p->live != l) /* section 2 */
            GT_TRY(gt_forward_recompute(m, p, batch, l, p->keep == GT_KEEP_NO_MLP));
        p->live = -1;
        GT_TRY(gt_resident_acquire(&m->resident, l, GT_ORDER_BACKWARD, &w));
        gt_layer_enter(&c, l, w);
        gt_status st = layer_bwd(&c);
        gt_resident_release(&m->resident, l);
        GT_TRY(st);
    }
    return GT_OK;
}
