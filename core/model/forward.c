#include "forward.h"

#include "resident.h"
#include "rng.h"
#include "signals.h"

#include <string.h>

void gt_kv_cache_carve(gt_kv_cache *c, gt_arena *a, const gt_model_config *config, gt_dtype act, int capacity)
{
    memset(c, 0, sizeof *c);
    c->capacity = capacity;
    const size_t row =
        (size_t)config->num_key_value_heads * (size_t)config->head_dim * (size_t)gt_dtype_block_bytes(act);
    for (int l = 0; l < config->num_hidden_layers; l++) {
        c->k[l] = gt_arena_push(a, (size_t)capacity, row, "cache.k");
        c->v[l] = gt_arena_push(a, (size_t)capacity, row, "cache.v");
    }
}

/* What the functions below share of one call. */
typedef struct {
    gt_model *m;
    gt_pass *p;
    const gt_batch *b;
    gt_kv_cache *cache;
    gt_lora_work lora;
    int n, H, F, Q, K;
} call;

static call call_of(gt_model *m, gt_pass *p, const gt_batch *b, gt_kv_cache *cache)
{
    const gt_model_config *c = m->config;
    return (call){.m = m,
                  .p = p,
                  .b = b,
                  .cache = cache,
                  .lora = p->lora,
                  .n = b->n,
                  .H = c->hidden_size,
                  .F = c->intermediate_size,
                  .Q = c->num_attention_heads * c->head_dim,
                  .K = c->num_key_value_heads * c->head_dim};
}

static void *row_at(const call *c, void *base, int row, int width)
{
    return (char *)base + (size_t)row * (size_t)width * (size_t)gt_dtype_block_bytes(c->m->k->act);
}

/* out = in W^T + adapter */
static gt_status linear(const call *c, const gt_layer_weights *w, int layer, gt_proj p, void *out, const void *in)
{
    int rows, cols;
    gt_proj_shape(c->m->config, p, &rows, &cols);
    const gt_kernels *k = c->m->k;
    GT_TRY(k->gemm(&c->m->x, &(gt_gemm){.a = in,
                                        .lda = cols,
                                        .b = w->proj[p],
                                        .ldb = cols,
                                        .tb = true,
                                        .b_order = w->order[p],
                                        .c = out,
                                        .ldc = rows,
                                        .m = c->n,
                                        .n = rows,
                                        .k = cols,
                                        .alpha = 1,
                                        .c_dtype = k->act}));
    if (!c->m->lora) return GT_OK;
    return gt_lora_forward(c->m->lora, k, &c->m->x, c->m->config, layer, p, out, in, c->n, &c->lora);
}

static gt_status attention(const call *c, int layer, const gt_layer_acts *s, const void *k_rot, const void *v)
{
    const gt_model_config *f = c->m->config;
    const bool full = f->layer_is_full[layer];
    for (int d = 0; d < c->b->docs; d++) {
        const int begin = c->b->doc_begin[d], len = c->b->doc_begin[d + 1] - begin;
        gt_attn_span *span = &c->p->span[d];
        *span = (gt_attn_span){.q_begin = begin, .q_len = len, .q_pos = c->b->pos[begin]};
        span->kv = (gt_kv_view){.stride = c->K, .len = len, .pos = span->q_pos};
        if (c->cache) {
            span->kv.k = c->cache->k[layer];
            span->kv.v = c->cache->v[layer];
            span->kv.pos = 0;
            span->kv.len = c->cache->len + len;
        } else {
            span->kv.k = row_at(c, (void *)k_rot, begin, c->K);
            span->kv.v = row_at(c, (void *)v, begin, c->K);
        }
    }
    const gt_attn a = {.heads = f->num_attention_heads,
                       .kv_heads = f->num_key_value_heads,
                       .head_dim = f->head_dim,
                       .window = full ? 0 : f->sliding_window,
                       .bidirectional = f->bidirectional,
                       .scale = c->m->attn_scale,
                       .span_count = c->b->docs,
                       .span = c->p->span,
                       .q = c->p->q_rot,
                       .q_stride = c->Q,
                       .o = s->o,
                       .lse = s->lse};
    return c->m->k->attention(&c->m->x, &a);
}

static gt_status norm_rope(const call *c, const gt_layer_weights *w, int layer, const gt_layer_acts *s, void *k_rot)
{
    const gt_model_config *f = c->m->config;
    const int full = f->layer_is_full[layer], d = f->head_dim;
    const float *cos = c->m->rope_cos[full], *sin = c->m->rope_sin[full];
    GT_TRY(c->m->k->norm_rope(&c->m->x, c->p->q_rot, c->Q, s->q, c->Q, w->norm[GT_Q_NORM], cos, sin, c->b->pos, c->n,
                              f->num_attention_heads, d, f->rms_norm_eps));
    return c->m->k->norm_rope(&c->m->x, k_rot, c->K, s->k, c->K, w->norm[GT_K_NORM], cos, sin, c->b->pos, c->n,
                              f->num_key_value_heads, d, f->rms_norm_eps);
}

/* Up to the heads' outputs s->o: what every row needs, because later rows look at it. */
static gt_status attention_core(const call *c, const gt_layer_weights *w, int layer, const void *x, gt_layer_acts *s)
{
    void *v = c->cache ? row_at(c, c->cache->v[layer], c->cache->len, c->K) : s->v;
    void *k_rot = c->cache ? row_at(c, c->cache->k[layer], c->cache->len, c->K) : c->p->k_rot;
    GT_TRY(
        c->m->k->rmsnorm(&c->m->x, c->p->norm_out, x, w->norm[GT_INPUT_NORM], c->n, c->H, c->m->config->rms_norm_eps));
    GT_TRY(linear(c, w, layer, GT_Q_PROJ, s->q, c->p->norm_out));
    GT_TRY(linear(c, w, layer, GT_K_PROJ, s->k, c->p->norm_out));
    GT_TRY(linear(c, w, layer, GT_V_PROJ, v, c->p->norm_out));
    GT_TRY(norm_rope(c, w, layer, s, k_rot));
    return attention(c, layer, s, k_rot, v);
}

/* s->x1 = x + norm(o Wo) */
static gt_status attention_out(const call *c, const gt_layer_weights *w, int layer, const void *x, const void *o,
                               gt_layer_acts *s)
{
    GT_TRY(linear(c, w, layer, GT_O_PROJ, s->y, o));
    return c->m->k->rmsnorm_add(&c->m->x, s->x1, x, s->y, w->norm[GT_POST_ATTENTION_NORM], c->n, c->H,
                                c->m->config->rms_norm_eps);
}

static gt_status attention_block(const call *c, const gt_layer_weights *w, int layer, const void *x, gt_layer_acts *s)
{
    GT_TRY(attention_core(c, w, layer, x, s));
    return attention_out(c, w, layer, x, s->o, s);
}

static gt_status gate_up(const call *c, const gt_layer_weights *w, int layer, gt_layer_acts *s)
{
    GT_TRY(c->m->k->rmsnorm(&c->m->x, c->p->norm_out, s->x1, w->norm[GT_PRE_MLP_NORM], c->n, c->H,
                            c->m->config->rms_norm_eps));
    GT_TRY(linear(c, w, layer, GT_GATE_PROJ, s->gate, c->p->norm_out));
    return linear(c, w, layer, GT_UP_PROJ, s->up, c->p->norm_out);
}

/* x_out NULL: a recomputation, which needs what leads to m but not the next layer's input */
static gt_status mlp_block(const call *c, const gt_layer_weights *w, int layer, gt_layer_acts *s, void *x_out)
{
    const gt_kernels *k = c->m->k;
    GT_TRY(gate_up(c, w, layer, s));
    GT_TRY(k->geglu(&c->m->x, c->p->h, s->gate, s->up, (size_t)c->n * (size_t)c->F));
    GT_TRY(linear(c, w, layer, GT_DOWN_PROJ, s->m, c->p->h));
    if (!x_out) return GT_OK;
    return k->rmsnorm_add(&c->m->x, x_out, s->x1, s->m, w->norm[GT_POST_MLP_NORM], c->n, c->H,
                          c->m->config->rms_norm_eps);
}

/* Behind the last layer's attention only the rows that predict something are looked at again: the rest of the layer is
 * computed for them alone, in the order of the targets. p->x[layers] then holds [targets, H]. */
static gt_status last_block(const call *c, const gt_layer_weights *w, int layer, const void *x, gt_layer_acts *s,
                            void *x_out)
{
    const gt_kernels *k = c->m->k;
    const gt_batch *b = c->b;
    call few = *c;
    few.n = b->targets;
    if (c->lora.row_key) {
        for (int i = 0; i < b->targets; i++) c->p->target_key[i] = c->lora.row_key[b->target_row[i]];
        few.lora.row_key = c->p->target_key;
    }
    GT_TRY(attention_core(c, w, layer, x, s));
    GT_TRY(k->gather_rows(&c->m->x, c->p->d_o, s->o, b->target_row, b->targets, c->Q));
    GT_TRY(k->gather_rows(&c->m->x, s->x1, x, b->target_row, b->targets, c->H));
    GT_TRY(attention_out(&few, w, layer, s->x1, c->p->d_o, s));
    return mlp_block(&few, w, layer, s, x_out);
}

static gt_status check_batch(const gt_model *m, const gt_pass *p, const gt_batch *b, const gt_kv_cache *cache)
{
    if (b->n < 1 || b->n > p->max_tokens || b->docs < 1 || b->docs > p->max_spans)
        return GT_FAIL(GT_ERR_ARG, "a pass of %d tokens in %d documents; this one was made for %d in %d", b->n, b->docs,
                       p->max_tokens, p->max_spans);
    if (cache && (b->docs != 1 || b->pos[0] != cache->len || b->n > cache->capacity - cache->len))
        return GT_FAIL(GT_ERR_ARG, "%d tokens at position %d do not continue a cache of %d of %d", b->n, b->pos[0],
                       cache->len, cache->capacity);
    for (int i = 0; i < b->n; i++) {
        if (b->ids[i] < 0 || b->ids[i] >= m->config->vocab_size)
            return GT_FAIL(GT_ERR_DATA, "token id %d; this model has ids 0 to %d", b->ids[i],
                           m->config->vocab_size - 1);
        if (b->pos[i] < 0 || b->pos[i] >= m->positions)
            return GT_FAIL(GT_ERR_DATA, "position %d; this run was made for %d positions", b->pos[i], m->positions);
    }
    return GT_OK;
}

static void set_dropout(gt_model *m, gt_pass *p, const gt_batch *b, const gt_forward_options *o)
{
    p->lora.row_key = NULL;
    if (!o->dropout || !p->row_key || !m->lora || m->lora->dropout <= 0) return;
    const uint64_t epoch = gt_rng_key(m->lora->dropout_key, o->epoch);
    for (int d = 0; d < b->docs; d++) {
        const uint64_t sample = gt_rng_key(epoch, b->doc_sample[d]);
        for (int i = b->doc_begin[d]; i < b->doc_begin[d + 1]; i++)
            p->row_key[i] = gt_rng_key(sample, (uint64_t)b->pos[i]);
    }
    p->lora.row_key = p->row_key;
}

gt_status gt_forward(gt_model *m, gt_pass *p, const gt_batch *batch, const gt_forward_options *o)
{
    const int layers = m->config->num_hidden_layers;
    GT_TRY(check_batch(m, p, batch, o->cache));
    set_dropout(m, p, batch, o);
    const call c = call_of(m, p, batch, o->cache);
    p->live = -1;
    p->few = o->targets_only && p->training && batch->targets > 0 && batch->targets < batch->n;
    GT_TRY(m->k->embed(&m->x, p->x[0], &m->weights->embed, batch->ids, batch->n, m->embed_multiplier));
    for (int l = 0; l < layers; l++) {
        GT_TRY(gt_signals_check());
        if (o->observe) o->observe(o->observe_context, l, p->x[l], batch->n);
        const gt_layer_weights *w;
        GT_TRY(gt_resident_acquire(m, l, GT_ORDER_FORWARD, &w));
        gt_status st;
        if (p->few && l == layers - 1)
            st = last_block(&c, w, l, p->x[l], &p->layer[l], p->x[l + 1]);
        else {
            st = attention_block(&c, w, l, p->x[l], &p->layer[l]);
            if (st == GT_OK) st = mlp_block(&c, w, l, &p->layer[l], p->x[l + 1]);
        }
        gt_resident_release(m, l);
        GT_TRY(st);
    }
    p->live = layers - 1;
    if (o->observe) o->observe(o->observe_context, layers, p->x[layers], p->few ? batch->targets : batch->n);
    if (o->cache) o->cache->len += batch->n;
    return GT_OK;
}

gt_status gt_forward_recompute(gt_model *m, gt_pass *p, const gt_batch *batch, int layer, bool mlp_only)
{
    const call c = call_of(m, p, batch, NULL);
    const gt_layer_weights *w;
    GT_TRY(gt_resident_acquire(m, layer, GT_ORDER_FORWARD, &w));
    gt_status st;
    if (mlp_only)
        st = gate_up(&c, w, layer, &p->layer[layer]);
    else {
        st = attention_block(&c, w, layer, p->x[layer], &p->layer[layer]);
        if (st == GT_OK) st = mlp_block(&c, w, layer, &p->layer[layer], NULL);
    }
    gt_resident_release(m, layer);
    return st;
}

gt_status gt_forward_hidden(gt_model *m, gt_pass *p, const int32_t *row, int rows)
{
    const int H = m->config->hidden_size;
    if (rows > p->head_rows) return GT_FAIL(GT_ERR_ARG, "%d rows; the head was made for %d", rows, p->head_rows);
    GT_TRY(m->k->gather_rows(&m->x, p->head_in, p->x[m->config->num_hidden_layers], row, rows, H));
    return m->k->rmsnorm(&m->x, p->head_xf, p->head_in, m->weights->final_norm, rows, H, m->config->rms_norm_eps);
}

gt_status gt_forward_logits(gt_model *m, gt_pass *p, const int32_t *row, int rows, float *logits)
{
    GT_TRY(gt_forward_hidden(m, p, row, rows));
    return m->k->head_logits(&m->x, logits, p->head_xf, rows, m->config->hidden_size, &m->weights->embed,
                             p->head_buffer, p->head_buffer_bytes);
}

/* One chunk of targets: losses, and the gradient scattered into dx. */
static gt_status head_chunk(gt_model *m, gt_pass *p, const gt_batch *b, int first, int rows, bool with_gradient)
{
    const int H = m->config->hidden_size;
    const int32_t *row = b->target_row + first;
    if (p->few) { /* x[L] holds the targets' rows alone */
        for (int i = 0; i < rows; i++) p->head_row[i] = first + i;
        row = p->head_row;
    }
    GT_TRY(gt_forward_hidden(m, p, row, rows));
    const gt_head_loss h = {.xf = p->head_xf,
                            .rows = rows,
                            .hidden = H,
                            .embed = &m->weights->embed,
                            .target = b->target_id + first,
                            .loss = p->loss,
                            .argmax = p->argmax,
                            .dxf = with_gradient ? p->d_xf : NULL,
                            .buffer = p->head_buffer,
                            .buffer_bytes = p->head_buffer_bytes};
    GT_TRY(m->k->head_loss(&m->x, &h));
    if (!with_gradient) return GT_OK;
    GT_TRY(m->k->rmsnorm_bwd(&m->x, p->d_head, GT_F32, false, p->d_xf, GT_F32, p->head_in, m->weights->final_norm, rows,
                             H, m->config->rms_norm_eps));
    return m->k->scatter_rows(&m->x, p->dx, b->n, p->d_head, row, rows, H);
}

gt_status gt_forward_loss(gt_model *m, gt_pass *p, const gt_batch *batch, bool with_gradient, gt_loss_sum *sum,
                          double *nll, int32_t *greedy)
{
    *sum = (gt_loss_sum){0};
    if (with_gradient) memset(p->dx, 0, (size_t)batch->n * (size_t)m->config->hidden_size * sizeof *p->dx);
    for (int first = 0; first < batch->targets; first += p->head_rows) {
        const int left = batch->targets - first, rows = left < p->head_rows ? left : p->head_rows;
        GT_TRY(gt_signals_check());
        GT_TRY(head_chunk(m, p, batch, first, rows, with_gradient));
        for (int i = 0; i < rows; i++) {
            sum->loss += p->loss[i];
            const bool hit = p->argmax[i] == batch->target_id[first + i];
            sum->correct += hit;
            if (nll) nll[first + i] = p->loss[i];
            if (greedy) greedy[first + i] = hit;
        }
    }
    return GT_OK;
}
