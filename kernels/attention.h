/* attention.h - grouped-query attention over documents and caches (gt_attn and gt_attn_grad say the layout).
 * Forward, per query and head (docs/model/gemma3.md section 2.4, eager):
 *   s_k = round(round(q . k_k) * scale) over the keys it sees;  P = softmax(s) in float32;  p = round(P)
 *   o = round(sum_k p_k v_k);   lse = log sum_k exp(s_k)        roundings of s and p in GT_BF16 only
 * A query that sees no key gives o = 0 and lse = -inf.
 * Backward (docs/model/backward.md section 1.6): dV through the rounded p, dS through P as the float32 softmax gave it:
 *   dP = dO . v;  dS = P * (dP - sum_k P dP);  dq = scale sum_k dS k;  dk = scale sum dS q;  dv = sum p dO
 * dk, dv sum over the query heads that share the kv head; each result is rounded once. GT_ERR_ARG: heads that are no
 * multiple of kv_heads, or less scratch than gt_kernels.scratch_bytes gives for the keys of a document. */
#ifndef GT_ATTENTION_H
#define GT_ATTENTION_H

#include "dtype.h"
#include "exec.h"

#include <stdbool.h>
#include <stddef.h>

/* Keys and values of one document, wherever they lie: a training batch (page_tokens 0: one run of memory), or pages of
 * a cache. K is stored after norm and RoPE, V raw; one token is [Nkv, d] act. */
typedef struct {
    const void *k, *v; /* page_tokens == 0: token t at k + t * stride */
    /* otherwise token t at pages[t / page_tokens] + (t % page_tokens) * stride */
    const void *const *k_pages, *const *v_pages;
    int page_tokens;  /* 0 or a multiple of 64 */
    ptrdiff_t stride; /* elements between tokens */
    int len;          /* tokens held */
    int pos;          /* position of token 0; token t has position pos + t */
} gt_kv_view;

/* A run of queries of one document. Query i (0 <= i < q_len) is row q_begin + i of q and o and has position q_pos + i;
 * it sees key t iff key position <= its position and, when window > 0, > its position - window. */
typedef struct {
    int q_begin, q_len, q_pos;
    gt_kv_view kv;
} gt_attn_span;

typedef struct {
    int heads, kv_heads, head_dim; /* head h uses kv head h / (heads / kv_heads) */
    int window;                    /* 0: full causal */
    bool bidirectional;            /* no causal limit; |q - k| < window when window > 0 (EmbeddingGemma) */
    float scale;
    int span_count;
    const gt_attn_span *span;
    const void *q;      /* [n, heads, d] act, after norm and RoPE */
    ptrdiff_t q_stride; /* elements between rows of q and dq */
    void *o;            /* [n, heads * d] act, contiguous */
    float *lse;         /* [n, heads] log-sum-exp of the scaled scores; NULL when no backward follows */
} gt_attn;

/* Gradients. Only page_tokens == 0 with each document's keys exactly its queries (training). */
typedef struct {
    gt_attn fwd;     /* as given forward: o and lse filled */
    const void *d_o; /* [n, heads * d] act */
    void *dq;        /* [n, heads, d] act, stride q_stride */
    /* act, laid out as k and v (stride kv.stride), row r of dk belongs to row r of the batch; span s's keys are rows
     * q_begin ... q_begin + q_len - 1 */
    void *dk, *dv;
    void *buffer; /* partial sums of dk and dv: gt_kernels.attention_bwd_buffer_bytes(dims) bytes, 64-byte aligned */
    size_t buffer_bytes;
} gt_attn_grad;

typedef gt_status gt_attention_fn(gt_exec *x, const gt_attn *a);
typedef gt_status gt_attention_bwd_fn(gt_exec *x, const gt_attn_grad *a);

/* Bytes of gt_attn_grad.buffer for a batch of up to max_tokens rows; may be 0. */
typedef size_t gt_attention_bwd_buffer_bytes_fn(const gt_kernel_dims *dims);

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

#endif
