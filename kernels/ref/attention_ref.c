/* The eager formula over whole rows of scores, nothing tiled. Forward a task is one query and head; backward it is one
 * document and kv head with its queries in order, so that dk and dv are sums in one order whatever the threads. */
#include "ref_access.h"
#include "ref_kernels.h"

#include <math.h>

/* The keys a query sees and its probabilities over them, in doubles at p[begin ... end). */
typedef struct {
    int begin, end;
    double lse;
} visible;

static const void *token_at(gt_dtype t, const gt_kv_view *kv, const void *whole, const void *const *pages, int token)
{
    if (kv->page_tokens == 0) return gt_ref_at(t, whole, token * kv->stride);
    return gt_ref_at(t, pages[token / kv->page_tokens], token % kv->page_tokens * kv->stride);
}

/* The softmax over the scaled scores of query row `q` (head at element offset qh, kv head at kh) into p[begin, end). */
static visible probabilities(gt_dtype t, const gt_attn *a, const gt_kv_view *kv, ptrdiff_t qh, ptrdiff_t kh, int pos,
                             double *p)
{
    visible v;
    gt_attn_visible(a, kv, pos, &v.begin, &v.end);
    double most = -INFINITY, sum = 0;
    for (int k = v.begin; k < v.end; k++) {
        const void *key = token_at(t, kv, kv->k, kv->k_pages, k);
        double s = 0;
        for (int c = 0; c < a->head_dim; c++) s += gt_ref_get(t, a->q, qh + c) * gt_ref_get(t, key, kh + c);
        p[k] = gt_ref_round(t, gt_ref_round(t, s) * (double)a->scale);
        most = fmax(most, p[k]);
    }
    for (int k = v.begin; k < v.end; k++) sum += p[k] = exp(p[k] - most);
    for (int k = v.begin; k < v.end; k++) p[k] /= sum;
    v.lse = v.begin < v.end ? most + log(sum) : -INFINITY;
    return v;
}

typedef struct {
    gt_dtype act;
    gt_exec *x;
    const gt_attn *a;
    const gt_attn_grad *grad; /* NULL forward */
    const gt_attn_span *span;
} job;

static void forward_query(void *context, int task, int worker)
{
    const job *j = context;
    const gt_attn *a = j->a;
    const gt_attn_span *s = j->span;
    gt_dtype t = j->act;
    int i = task / a->heads, h = task % a->heads, d = a->head_dim;
    ptrdiff_t row = s->q_begin + i, kh = (ptrdiff_t)(h / (a->heads / a->kv_heads)) * d;
    double *p = gt_exec_scratch(j->x, worker);
    visible v = probabilities(t, a, &s->kv, row * a->q_stride + (ptrdiff_t)h * d, kh, s->q_pos + i, p);
    for (int c = 0; c < d; c++) {
        double o = 0;
        for (int k = v.begin; k < v.end; k++)
            o += gt_ref_round(t, p[k]) * gt_ref_get(t, token_at(t, &s->kv, s->kv.v, s->kv.v_pages, k), kh + c);
        gt_ref_put(t, a->o, (row * a->heads + h) * d + c, o);
    }
    if (a->lse) a->lse[row * a->heads + h] = (float)v.lse;
}

/* All gradients of one document and kv head: the queries in order, so that dk and dv are sums in a fixed order. */
static void backward_head(void *context, int kv_head, int worker)
{
    const job *j = context;
    const gt_attn *a = j->a;
    const gt_attn_span *s = j->span;
    const gt_kv_view *kv = &s->kv;
    gt_dtype t = j->act;
    int d = a->head_dim, group = a->heads / a->kv_heads, len = kv->len;
    ptrdiff_t kh = (ptrdiff_t)kv_head * d;
    double *p = gt_exec_scratch(j->x, worker), *ds = p + len, *dk = ds + len, *dv = dk + (ptrdiff_t)len * d;
    for (ptrdiff_t i = 0; i < (ptrdiff_t)len * d; i++) dk[i] = dv[i] = 0;
    for (int i = 0; i < s->q_len; i++)
        for (int h = kv_head * group; h < (kv_head + 1) * group; h++) {
            ptrdiff_t row = s->q_begin + i, qh = row * a->q_stride + (ptrdiff_t)h * d, oh = (row * a->heads + h) * d;
            visible v = probabilities(t, a, kv, qh, kh, s->q_pos + i, p);
            double delta = 0;
            for (int k = v.begin; k < v.end; k++) {
                double dp = 0;
                for (int c = 0; c < d; c++)
                    dp += gt_ref_get(t, j->grad->d_o, oh + c) * gt_ref_get(t, kv->v, k * kv->stride + kh + c);
                ds[k] = dp;
                delta += p[k] * dp;
            }
            for (int k = v.begin; k < v.end; k++) {
                ds[k] = p[k] * (ds[k] - delta);
                for (int c = 0; c < d; c++) {
                    dk[(ptrdiff_t)k * d + c] += ds[k] * gt_ref_get(t, a->q, qh + c);
                    dv[(ptrdiff_t)k * d + c] += gt_ref_round(t, p[k]) * gt_ref_get(t, j->grad->d_o, oh + c);
                }
            }
            for (int c = 0; c < d; c++) {
                double dq = 0;
                for (int k = v.begin; k < v.end; k++) dq += ds[k] * gt_ref_get(t, kv->k, k * kv->stride + kh + c);
                gt_ref_put(t, j->grad->dq, qh + c, (double)a->scale * dq);
            }
        }
    for (int k = 0; k < len; k++)
        for (int c = 0; c < d; c++) {
            ptrdiff_t at = (s->q_begin + k) * kv->stride + kh + c;
            gt_ref_put(t, j->grad->dk, at, (double)a->scale * dk[(ptrdiff_t)k * d + c]);
            gt_ref_put(t, j->grad->dv, at, dv[(ptrdiff_t)k * d + c]);
        }
}

size_t gt_attention_scratch_ref(int tokens, int head_dim)
{
    return 2 * (size_t)tokens * ((size_t)head_dim + 1) * sizeof(double);
}

static gt_status check(const gt_exec *x, const gt_attn *a, bool backward)
{
    if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads != 0 || a->head_dim < 1)
        return GT_FAIL(GT_ERR_ARG, "attention of %d heads over %d kv heads of %d; expected a multiple", a->heads,
                       a->kv_heads, a->head_dim);
    for (int i = 0; i < a->span_count; i++) {
        const gt_attn_span *s = &a->span[i];
        size_t need = backward ? gt_attention_scratch_ref(s->kv.len, a->head_dim) : (size_t)s->kv.len * sizeof(double);
        if (need > x->scratch_stride)
            return GT_FAIL(GT_ERR_ARG, "attention over %d keys needs %zu bytes of scratch a worker, there are %zu",
                           s->kv.len, need, x->scratch_stride);
        if (s->q_len > INT32_MAX / a->heads)
            return GT_FAIL(GT_ERR_ARG, "attention of %d queries in one document", s->q_len);
        if (backward && (s->kv.page_tokens != 0 || s->kv.len != s->q_len || s->kv.pos != s->q_pos))
            return GT_FAIL(GT_ERR_ARG, "attention backward over a cache; expected a document's own keys");
    }
    return GT_OK;
}

static gt_status attention(gt_dtype act, gt_exec *x, const gt_attn *a)
{
    GT_TRY(check(x, a, false));
    for (int i = 0; i < a->span_count; i++) {
        job j = {act, x, a, NULL, &a->span[i]};
        gt_pool_run(x->pool, a->span[i].q_len * a->heads, forward_query, &j);
    }
    return GT_OK;
}

static gt_status attention_bwd(gt_dtype act, gt_exec *x, const gt_attn_grad *g)
{
    GT_TRY(check(x, &g->fwd, true));
    for (int i = 0; i < g->fwd.span_count; i++) {
        job j = {act, x, &g->fwd, g, &g->fwd.span[i]};
        gt_pool_run(x->pool, g->fwd.kv_heads, backward_head, &j);
    }
    return GT_OK;
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_attention_ref_##suffix(gt_exec *x, const gt_attn *a)                                                  \
    {                                                                                                                  \
        return attention(type, x, a);                                                                                  \
    }                                                                                                                  \
    gt_status gt_attention_bwd_ref_##suffix(gt_exec *x, const gt_attn_grad *a)                                         \
    {                                                                                                                  \
        return attention_bwd(type, x, a);                                                                              \
    }
GT_REF_EACH(INSTANCE)

size_t gt_attention_bwd_buffer_bytes_ref(const gt_kernel_dims *dims)
{
    (void)dims; /* sums go straight into dk and dv */
    return 0;
}
