#include "forward.h"

#include "layer.h"
#include "rng.h"
#include "signals.h"

#include <string.h>

static const gt_lora *adapter_of(const gt_layer_call *c, int doc)
{
    return c->source ? c->source[doc].lora : c->m->lora;
}

/* out += the adapters' part: documents that stand side by side and share an adapter are one product. */
static gt_status adapt(const gt_layer_call *c, gt_proj p, const gt_linear_weight *w, void *out, const void *in)
{
    const gt_batch *b = c->b;
    for (int d = 0, end; d < b->docs; d = end) {
        const gt_lora *lora = adapter_of(c, d);
        for (end = d + 1; end < b->docs && adapter_of(c, end) == lora;) end++;
        if (!lora) continue;
        const int begin = b->doc_begin[d], n = c->source ? b->doc_begin[end] - begin : c->n;
        const gt_lora_call l = gt_layer_lora(c, lora, p, begin, n);
        GT_TRY(gt_lora_forward(&l, gt_layer_row(c, out, begin, w->out), gt_layer_row(c, in, begin, w->in)));
    }
    return GT_OK;
}

/* out = in W^T, and the adapters (docs/model/lora.md section 1): the base over all rows at once. */
static gt_status project(const gt_layer_call *c, gt_proj p, void *out, const void *in)
{
    const gt_linear_rows rows = gt_layer_rows(c);
    const gt_linear_weight w = gt_layer_weight(c, p);
    GT_TRY(gt_linear(&rows, (gt_linear_sum){out, c->k->act, .scale = 1}, in, w));
    return adapt(c, p, &w, out, in);
}

/* out = residual + RMSNorm(branch): how both halves of a layer end. */
static gt_status add_normed(const gt_layer_call *c, void *out, const void *residual, const void *branch, gt_norm which)
{
    return c->k->rmsnorm_add(c->x, out, residual, branch, c->w->norm[which], c->n, c->H, c->f->rms_norm_eps);
}

/* The new tokens' keys and values go where their documents keep them. */
static gt_status write_kv(const gt_layer_call *c)
{
    for (int d = 0; c->source && d < c->b->docs; d++) {
        const int begin = c->b->doc_begin[d], n = c->b->doc_begin[d + 1] - begin;
        if (!c->source[d].kv) continue;
        GT_TRY(gt_kv_source_write(c->source[d].kv, c->k, c->x, c->layer, gt_layer_row(c, c->p->k_rot, begin, c->K),
                                  gt_layer_row(c, c->s->v, begin, c->K), n, c->K));
    }
    return GT_OK;
}

/* The blocks below are the lines of a layer in docs/model/gemma3.md section 2, under the names they have there; x1 is x
 * between attention and MLP, as in docs/model/backward.md section 1.3. */

/* x -> o, the heads' outputs: a; q, k, v; their norms and RoPE (sections 2.2, 2.3); attention (2.4, 2.5). Computed for
 * every row, because later rows look at it. */
static gt_status attention_core(const gt_layer_call *c, const void *x)
{
    gt_layer_acts *s = c->s;
    void *a = c->p->norm_out;
    GT_TRY(gt_layer_norm(c, a, x, GT_INPUT_NORM));
    GT_TRY(project(c, GT_Q_PROJ, s->q, a));
    GT_TRY(project(c, GT_K_PROJ, s->k, a));
    GT_TRY(project(c, GT_V_PROJ, s->v, a));
    GT_TRY(gt_layer_norm_rope(c));
    GT_TRY(write_kv(c));
    const gt_attn attention = gt_layer_attention(c);
    return c->k->attention(c->x, &attention);
}

/* y = o Wo;  x1 = x + RMSNorm(y) */
static gt_status attention_out(const gt_layer_call *c, const void *x, const void *o)
{
    GT_TRY(project(c, GT_O_PROJ, c->s->y, o));
    return add_normed(c, c->s->x1, x, c->s->y, GT_POST_ATTENTION_NORM);
}

/* b = RMSNorm(x1);  gate = b Wgate, up = b Wup */
static gt_status gate_up(const gt_layer_call *c)
{
    void *b = c->p->norm_out;
    GT_TRY(gt_layer_norm(c, b, c->s->x1, GT_PRE_MLP_NORM));
    GT_TRY(project(c, GT_GATE_PROJ, c->s->gate, b));
    return project(c, GT_UP_PROJ, c->s->up, b);
}

/* h = gelu(gate) * up;  m = h Wdown: section 2.6 */
static gt_status mlp_core(const gt_layer_call *c)
{
    GT_TRY(gate_up(c));
    GT_TRY(c->k->geglu(c->x, c->p->h, c->s->gate, c->s->up, (size_t)c->n * (size_t)c->F));
    return project(c, GT_DOWN_PROJ, c->s->m, c->p->h);
}

/* What the backward of a layer looks at: all of it but the last sum. */
static gt_status layer_core(const gt_layer_call *c, const void *x)
{
    GT_TRY(attention_core(c, x));
    GT_TRY(attention_out(c, x, c->s->o));
    return mlp_core(c);
}

/* x -> x_out = x1 + RMSNorm(m) */
static gt_status layer(const gt_layer_call *c, const void *x, void *x_out)
{
    GT_TRY(layer_core(c, x));
    return add_normed(c, x_out, c->s->x1, c->s->m, GT_POST_MLP_NORM);
}

/* Behind the last layer's attention only the rows that predict something are looked at again: the rest of the layer is
 * computed for them alone, in the order of the targets. x_out is [targets, H]. */
static gt_status last_layer(const gt_layer_call *c, const void *x, void *x_out)
{
    const gt_batch *b = c->b;
    const gt_layer_call few = gt_layer_few(c);
    void *few_x = c->s->x1, *few_o = c->p->few_o; /* x1 is x plus a norm, element by element: in place */
    GT_TRY(attention_core(c, x));
    GT_TRY(c->k->gather_rows(c->x, few_o, c->s->o, b->target_row, b->targets, c->Q));
    GT_TRY(c->k->gather_rows(c->x, few_x, x, b->target_row, b->targets, c->H));
    GT_TRY(attention_out(&few, few_x, few_o));
    GT_TRY(mlp_core(&few));
    return add_normed(&few, x_out, c->s->x1, c->s->m, GT_POST_MLP_NORM);
}

static gt_status check_tokens(const gt_model *m, const gt_pass *p, const gt_batch *b)
{
    if (b->n < 1 || b->n > p->max_tokens || b->docs < 1 || b->docs > p->max_spans)
        return GT_FAIL(GT_ERR_ARG, "a pass of %d tokens in %d documents; this one was made for %d in %d", b->n, b->docs,
                       p->max_tokens, p->max_spans);
    for (int i = 0; i < b->n; i++) {
        if (b->ids[i] < 0 || b->ids[i] >= m->config->vocab_size)
            return GT_FAIL(GT_ERR_DATA, "token id %d; this model has ids 0 to %d", b->ids[i],
                           m->config->vocab_size - 1);
        if (b->pos[i] < 0 || b->pos[i] >= m->positions)
            return GT_FAIL(GT_ERR_DATA, "position %d; this run was made for %d positions", b->pos[i], m->positions);
    }
    return GT_OK;
}

static gt_status check_adapter(const gt_pass *p, const gt_lora *lora)
{
    if (lora && lora->max_rank > p->lora_rank)
        return GT_FAIL(GT_ERR_ARG, "an adapter of rank %d in a pass that was made for ranks up to %d", lora->max_rank,
                       p->lora_rank);
    return GT_OK;
}

static gt_status check_sources(const gt_model *m, const gt_pass *p, const gt_batch *b, const gt_span_source *source)
{
    if (source && p->training) return GT_FAIL(GT_ERR_ARG, "a training pass takes no documents from caches");
    for (int d = 0; d < b->docs; d++) {
        const int pos = b->pos[b->doc_begin[d]], n = b->doc_begin[d + 1] - b->doc_begin[d];
        const gt_kv_source *kv = source ? source[d].kv : NULL;
        GT_TRY(check_adapter(p, source ? source[d].lora : m->lora));
        if (kv)
            GT_TRY(gt_kv_source_check(kv, m->config, pos, n));
        else if (pos != 0)
            return GT_FAIL(GT_ERR_ARG, "document %d begins at position %d, and no source has what is before", d, pos);
        for (int other = 0; kv && other < d; other++)
            if (source[other].kv == kv) return GT_FAIL(GT_ERR_ARG, "documents %d and %d have one source", other, d);
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
    GT_TRY(check_tokens(m, p, batch));
    GT_TRY(check_sources(m, p, batch, o->source));
    set_dropout(m, p, batch, o);
    gt_layer_call c = gt_layer_call_make(m, p, batch, o->source);
    p->live = -1;
    p->few = o->targets_only && p->training && batch->targets > 0 && batch->targets < batch->n;
    /* x0: section 2.1 */
    GT_TRY(m->k->embed(&m->x, p->x[0], &m->weights->embed, batch->ids, batch->n, m->embed_multiplier));
    for (int l = 0; l < layers; l++) {
        GT_TRY(gt_signals_check());
        if (o->observe) o->observe(o->observe_context, l, p->x[l], batch->n);
        const gt_layer_weights *w;
        GT_TRY(gt_resident_acquire(&m->resident, l, GT_ORDER_FORWARD, &w));
        gt_layer_enter(&c, l, w);
        gt_status st = (p->few && l == layers - 1 ? last_layer : layer)(&c, p->x[l], p->x[l + 1]);
        gt_resident_release(&m->resident, l);
        GT_TRY(st);
    }
    p->live = layers - 1;
    if (o->observe) o->observe(o->observe_context, layers, p->x[layers], p->few ? batch->targets : batch->n);
    for (int d = 0; o->source && d < batch->docs; d++)
        if (o->source[d].kv) o->source[d].kv->len += batch->doc_begin[d + 1] - batch->doc_begin[d];
    return GT_OK;
}

gt_status gt_forward_recompute(gt_model *m, gt_pass *p, const gt_batch *batch, int layer, bool mlp_only)
{
    gt_layer_call c = gt_layer_call_make(m, p, batch, NULL);
    const gt_layer_weights *w;
    GT_TRY(gt_resident_acquire(&m->resident, layer, GT_ORDER_FORWARD, &w));
    gt_layer_enter(&c, layer, w);
    gt_status st = mlp_only ? gate_up(&c) : layer_core(&c, p->x[layer]);
    gt_resident_release(&m->resident, layer);
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

/* One chunk of targets: losses (section 2.7), and the gradient through head and final norm scattered into dx
 * (docs/model/backward.md section 1.1). */
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
