#include "pass.h"

#include "checked.h"

#include <string.h>

typedef struct {
    gt_arena *arena;
    size_t n, act; /* tokens, bytes an element */
    size_t H, F, Q, K, heads;
} shape;

static void *rows(const shape *s, size_t width, const char *name)
{
    return gt_arena_push(s->arena, s->n, width * s->act, name);
}

static float *rows_f32(const shape *s, size_t width, const char *name)
{
    return gt_arena_push(s->arena, s->n, width * sizeof(float), name);
}

static void carve_attention(gt_layer_acts *l, const shape *s, bool training)
{
    l->q = rows(s, s->Q, "acts.q");
    l->k = rows(s, s->K, "acts.k");
    l->v = rows(s, s->K, "acts.v");
    l->o = rows(s, s->Q, "acts.attention_out");
    l->lse = training ? rows_f32(s, s->heads, "acts.lse") : NULL;
    l->y = rows(s, s->H, "acts.o_proj_out");
    l->x1 = rows(s, s->H, "acts.residual_mid");
    l->m = rows(s, s->H, "acts.down_proj_out");
}

static void carve_mlp(gt_layer_acts *l, const shape *s)
{
    l->gate = rows(s, s->F, "acts.gate");
    l->up = rows(s, s->F, "acts.up");
}

/* Layers share memory unless what they hold is kept: one set for all, or one a layer. */
static void carve_layers(gt_pass *p, const shape *s, int layers)
{
    const bool attention_each = p->training && p->keep != GT_KEEP_INPUTS;
    const bool mlp_each = p->training && p->keep == GT_KEEP_ALL;
    for (int l = 0; l < layers; l++) {
        if (l == 0 || attention_each)
            carve_attention(&p->layer[l], s, p->training);
        else
            p->layer[l] = p->layer[0];
        if (l == 0 || mlp_each)
            carve_mlp(&p->layer[l], s);
        else {
            p->layer[l].gate = p->layer[0].gate;
            p->layer[l].up = p->layer[0].up;
        }
    }
}

static void carve_gradients(gt_pass *p, const shape *s, bool dropout, const gt_kernels *k, const gt_kernel_dims *dims)
{
    p->dx = rows_f32(s, s->H, "grads.residual");
    p->d_norm = rows_f32(s, s->H, "grads.norm_in");
    p->d_branch = rows(s, s->H, "grads.branch_out");
    p->d_h = rows(s, s->F, "grads.mlp");
    p->row_map = gt_arena_push(s->arena, s->n, sizeof(int32_t), "grads.row_map");
    p->d_o = rows(s, s->Q, "grads.attention_out");
    p->dq = rows(s, s->Q, "grads.q");
    p->dk = rows(s, s->K, "grads.k");
    p->dv = rows(s, s->K, "grads.v");
    p->attn_buffer_bytes = k->attention_bwd_buffer_bytes(dims);
    p->attn_buffer = gt_arena_push(s->arena, p->attn_buffer_bytes, 1, "grads.attention_partials");
    p->d_wide = dropout ? rows_f32(s, gt_max_size(s->F, s->Q), "grads.wide") : NULL;
    p->few_o = p->d_o;
    p->few_d_o = p->dq;
    p->few_dx = p->d_norm;
}

static void carve_head(gt_pass *p, gt_arena *a, const shape *s, const gt_kernels *k, int vocab)
{
    const size_t r = (size_t)p->head_rows;
    p->head_in = gt_arena_push(a, r, s->H * s->act, "head.rows");
    p->head_xf = gt_arena_push(a, r, s->H * s->act, "head.rows");
    p->loss = gt_arena_push(a, r, sizeof(double), "head.loss");
    p->argmax = gt_arena_push(a, r, sizeof(int32_t), "head.loss");
    p->head_row = gt_arena_push(a, r, sizeof(int32_t), "head.loss");
    if (p->training) {
        p->d_xf = gt_arena_push(a, r, s->H * sizeof(float), "head.grads");
        p->d_head = gt_arena_push(a, r, s->H * sizeof(float), "head.grads");
    }
    p->head_buffer_bytes = k->head_buffer_bytes(p->head_rows, (int)s->H, vocab);
    p->head_buffer = gt_arena_push(a, p->head_buffer_bytes, 1, "head.tiles");
}

static void carve_adapter(gt_pass *p, const shape *s, bool dropout)
{
    const size_t widest = gt_max_size(gt_max_size(s->F, s->Q), s->H);
    p->lora.t = rows(s, (size_t)p->lora_rank, "adapter.low_rank");
    if (!dropout) return;
    p->row_key = gt_arena_push(s->arena, s->n, sizeof(uint64_t), "adapter.dropout_keys");
    p->target_key = gt_arena_push(s->arena, s->n, sizeof(uint64_t), "adapter.dropout_keys");
    p->lora.dropped = rows(s, widest, "adapter.dropped");
    p->lora.wide = rows_f32(s, widest, "adapter.wide");
}

gt_kernel_dims gt_pass_kernel_dims(const gt_model_config *c, int max_tokens, int lora_rank)
{
    return (gt_kernel_dims){.hidden = c->hidden_size,
                            .inter = c->intermediate_size,
                            .heads = c->num_attention_heads,
                            .kv_heads = c->num_key_value_heads,
                            .head_dim = c->head_dim,
                            .vocab = c->vocab_size,
                            .max_tokens = max_tokens,
                            .lora_rank = lora_rank};
}

void gt_pass_carve(gt_pass *p, gt_arena *a, const gt_weights *w, const gt_kernels *k, const gt_pass_options *o)
{
    const gt_model_config *c = &w->config;
    memset(p, 0, sizeof *p);
    p->max_tokens = o->max_tokens;
    p->head_rows = o->head_rows;
    p->lora_rank = o->lora_rank;
    p->training = o->training;
    p->keep = o->keep;
    p->live = -1;
    const shape s = {.arena = a,
                     .n = (size_t)o->max_tokens,
                     .act = (size_t)gt_dtype_block_bytes(k->act),
                     .H = (size_t)c->hidden_size,
                     .F = (size_t)c->intermediate_size,
                     .Q = (size_t)c->num_attention_heads * (size_t)c->head_dim,
                     .K = (size_t)c->num_key_value_heads * (size_t)c->head_dim,
                     .heads = (size_t)c->num_attention_heads};
    for (int l = 0; l <= c->num_hidden_layers; l++)
        p->x[l] = l < 2 || o->training ? rows(&s, s.H, "acts.layer_inputs") : p->x[l - 2];
    carve_layers(p, &s, c->num_hidden_layers);
    p->norm_out = rows(&s, s.H, "acts.norm_out");
    p->q_rot = rows(&s, s.Q, "acts.q_rotated");
    p->k_rot = rows(&s, s.K, "acts.k_rotated");
    p->h = rows(&s, s.F, "acts.mlp_hidden");
    p->max_spans = o->max_documents;
    p->span = gt_arena_push(a, (size_t)o->max_documents, sizeof *p->span, "acts.spans");
    const bool dropout = o->training && o->dropout;
    if (o->lora_rank > 0) carve_adapter(p, &s, dropout);
    const gt_kernel_dims dims = gt_pass_kernel_dims(c, o->max_tokens, o->lora_rank);
    if (o->training) carve_gradients(p, &s, dropout, k, &dims);
    if (o->head_rows > 0) carve_head(p, a, &s, k, c->vocab_size);
}
