#include "layer.h"

gt_layer_call gt_layer_call_make(gt_model *m, gt_pass *p, const gt_batch *b, const gt_span_source *source)
{
    const gt_model_config *f = m->config;
    return (gt_layer_call){.m = m,
                           .p = p,
                           .b = b,
                           .source = source,
                           .f = f,
                           .k = m->k,
                           .x = &m->x,
                           .n = b->n,
                           .H = f->hidden_size,
                           .F = f->intermediate_size,
                           .Q = f->num_attention_heads * f->head_dim,
                           .K = f->num_key_value_heads * f->head_dim,
                           .lora = p->lora};
}

void gt_layer_enter(gt_layer_call *c, int layer, const gt_layer_weights *w)
{
    c->layer = layer;
    c->w = w;
    c->s = &c->p->layer[layer];
}

gt_layer_call gt_layer_few(const gt_layer_call *c)
{
    gt_layer_call few = *c;
    few.n = c->b->targets;
    if (!c->lora.row_key) return few;
    for (int i = 0; i < few.n; i++) c->p->target_key[i] = c->lora.row_key[c->b->target_row[i]];
    few.lora.row_key = c->p->target_key;
    return few;
}

gt_linear_weight gt_layer_weight(const gt_layer_call *c, gt_proj p)
{
    gt_linear_weight w = {.at = c->w->proj[p], .order = c->w->order[p]};
    gt_proj_shape(c->f, p, &w.out, &w.in);
    return w;
}

gt_linear_rows gt_layer_rows(const gt_layer_call *c)
{
    return (gt_linear_rows){.k = c->k, .x = c->x, .n = c->n};
}

gt_lora_call gt_layer_lora(const gt_layer_call *c, const gt_lora *lora, gt_proj p, int begin, int n)
{
    gt_lora_call l = {.lora = lora,
                      .k = c->k,
                      .x = c->x,
                      .config = c->f,
                      .slot = {.layer = c->layer, .proj = p},
                      .n = n,
                      .work = c->lora};
    if (l.work.row_key) l.work.row_key += begin;
    return l;
}

gt_status gt_layer_norm(const gt_layer_call *c, void *out, const void *in, gt_norm which)
{
    return c->k->rmsnorm(c->x, out, in, c->w->norm[which], c->n, c->H, c->f->rms_norm_eps);
}

gt_status gt_layer_norm_rope(const gt_layer_call *c)
{
    const gt_model_config *f = c->f;
    const int full = f->layer_is_full[c->layer], d = f->head_dim;
    const float *cos = c->m->rope_cos[full], *sin = c->m->rope_sin[full], eps = f->rms_norm_eps;
    GT_TRY(c->k->norm_rope(c->x, c->p->q_rot, c->Q, c->s->q, c->Q, c->w->norm[GT_Q_NORM], cos, sin, c->b->pos, c->n,
                           f->num_attention_heads, d, eps));
    return c->k->norm_rope(c->x, c->p->k_rot, c->K, c->s->k, c->K, c->w->norm[GT_K_NORM], cos, sin, c->b->pos, c->n,
                           f->num_key_value_heads, d, eps);
}

/* Where a document's keys and values are read. */
static gt_kv_view view_of(const gt_layer_call *c, int doc, int begin, int len)
{
    const gt_kv_source *kv = c->source ? c->source[doc].kv : NULL;
    if (kv) return gt_kv_source_view(kv, c->layer, kv->len + len, c->K);
    return (gt_kv_view){.k = gt_layer_row(c, c->p->k_rot, begin, c->K),
                        .v = gt_layer_row(c, c->s->v, begin, c->K),
                        .stride = c->K,
                        .len = len,
                        .pos = c->b->pos[begin]};
}

gt_attn gt_layer_attention(const gt_layer_call *c)
{
    const gt_model_config *f = c->f;
    const gt_batch *b = c->b;
    for (int d = 0; d < b->docs; d++) {
        const int begin = b->doc_begin[d], len = b->doc_begin[d + 1] - begin;
        c->p->span[d] =
            (gt_attn_span){.q_begin = begin, .q_len = len, .q_pos = b->pos[begin], .kv = view_of(c, d, begin, len)};
    }
    return (gt_attn){.heads = f->num_attention_heads,
                     .kv_heads = f->num_key_value_heads,
                     .head_dim = f->head_dim,
                     .window = f->layer_is_full[c->layer] ? 0 : f->sliding_window,
                     .bidirectional = f->bidirectional,
                     .scale = c->m->attn_scale,
                     .span_count = b->docs,
                     .span = c->p->span,
                     .q = c->p->q_rot,
                     .q_stride = c->Q,
                     .o = c->s->o,
                     .lse = c->s->lse};
}
