/* attention.h - grouped-query attention over documents and caches (gt_attn, gt_attn_grad in table.h say the layout).
 * Forward, per query and head (docs/model/gemma3.md section 2.4, eager):
 *   s_k = round(round(q . k_k) * scale) over the keys it sees;  P = softmax(s) in float32;  p = round(P)
 *   o = round(sum_k p_k v_k);   lse = log sum_k exp(s_k)        roundings of s and p in GT_BF16 only
 * A query that sees no key gives o = 0 and lse = -inf.
 * Backward (docs/model/backward.md section 1.6): dV through the rounded p, dS through P as the float32 softmax gave it:
 *   dP = dO . v;  dS = P * (dP - sum_k P dP);  dq = scale sum_k dS k;  dk = scale sum dS q;  dv = sum p dO
 * dk, dv sum over the query heads that share the kv head; each result is rounded once.
 * ref needs scratch for one score row (forward) and 2 len (d + 1) doubles (backward); GT_ERR_ARG when x has less. */
#ifndef GT_ATTENTION_H
#define GT_ATTENTION_H

#include "table.h"

typedef gt_status gt_attention_fn(gt_exec *x, const gt_attn *a);
gt_attention_fn gt_attention_ref_f32, gt_attention_ref_bf16, gt_attention_ref_f64;
gt_attention_fn gt_attention_cpu_f32, gt_attention_cpu_bf16;

typedef gt_status gt_attention_bwd_fn(gt_exec *x, const gt_attn_grad *a);
gt_attention_bwd_fn gt_attention_bwd_ref_f32, gt_attention_bwd_ref_bf16, gt_attention_bwd_ref_f64;
gt_attention_bwd_fn gt_attention_bwd_cpu_f32, gt_attention_bwd_cpu_bf16;

/* Scratch a worker of ref needs for documents of up to `tokens` keys. */
size_t gt_attention_ref_scratch(int tokens, int head_dim);

/* The keys [*begin, *end) (as indices into the view) that a query at position `pos` sees; *begin == *end: none. */
static inline void gt_attn_visible(const gt_attn *a, const gt_kv_view *kv, int pos, int *begin, int *end)
{
    long long lo = 0, hi = kv->len, at = (long long)pos - kv->pos;
    if (!a->bidirectional && at + 1 < hi) hi = at + 1;
    if (a->window > 0) {
        if (at - a->window + 1 > lo) lo = at - a->window + 1;
        if (a->bidirectional && at + a->window < hi) hi = at + a->window;
    }
    if (hi < lo) hi = lo;
    *begin = (int)lo;
    *end = (int)hi;
}

/* The reference needs no partial sums: 0. */
size_t gt_attention_bwd_buffer_bytes_ref(const gt_kernel_dims *dims);

#endif
