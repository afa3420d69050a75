/* table.h - the operations a model is made of: one table per backend and compute dtype, chosen once, every slot filled.
 *
 * "act" is the table's compute dtype: activations, decoded weights and the operands of products are stored in it.
 *   GT_F32  the reference mode        GT_BF16  the training mode        GT_F64  `ref` only: finite differences
 * The order of roundings in GT_BF16 is that of docs/model/gemma3.md section 2 (the transformers eager path).
 * Formulas: docs/model/gemma3.md (forward), docs/model/backward.md; each slot's details stand in <family>.h.
 *
 * Rules for every slot:
 *  - all memory is the caller's; a kernel allocates nothing and uses only x's scratch;
 *  - results do not depend on the number of threads, nor on which worker ran what (bit for bit);
 *  - zero rows are fine; matrices are row-major; "ld" is the distance between rows in elements;
 *  - GT_ERR_DEVICE when a compute library fails, GT_ERR_ARG on a shape it cannot do. */
#ifndef GT_TABLE_H
#define GT_TABLE_H

#include "exec.h"
#include "matrix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a decoded weight W [out, in] lies. The orders but the first are the backend's own, as many elements as row-major
 * and good for nothing but its products. */
typedef enum {
    GT_ORDER_ROWS,    /* row-major */
    GT_ORDER_FORWARD, /* for y = x W^T: the right operand of products with tb */
    GT_ORDER_BACKWARD /* for dx = dy W: of products without */
} gt_weight_order;

/* C[m,n] = alpha * op(A)[m,k] * op(B)[k,n] + beta * C, beta 0 or 1.
 * ta: A is stored [k,m]; tb: B is stored [n,k] (a linear layer's weight is W [out,in], tb = true, y = x W^T).
 * b_order: of a B that decode_weight wrote, whole, for this very tb; ldb is then as for the row-major W, A is not
 * transposed, and A and C are dense (lda = k, ldc = n).
 * A and B are act. C is c_dtype: act or GT_F32. Accumulation in at least float32, one rounding when C is bf16
 * (of alpha * sum + beta * C). */
typedef struct {
    const void *a, *b;
    void *c;
    int m, n, k;
    ptrdiff_t lda, ldb, ldc;
    bool ta, tb;
    gt_weight_order b_order;
    float alpha, beta;
    gt_dtype c_dtype;
} gt_gemm;

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
    void *dk, *dv;   /* act, laid out as k and v (stride kv.stride), row r of dk belongs to row r of the batch; span s's
                        * keys are rows q_begin ... q_begin + q_len - 1 */
    void *buffer;    /* partial sums of dk and dv: gt_kernels.attention_bwd_buffer_bytes(dims) bytes, 64-byte aligned */
    size_t buffer_bytes;
} gt_attn_grad;

/* The tied head and its loss over chosen rows. z = xf E^T; loss_i = logsumexp(z_i) - z_i[target_i].
 * bf16: products of bf16 operands accumulated in float32, z kept in float32 (no rounding to bf16). */
typedef struct {
    const void *xf; /* [rows, hidden] act: final-norm outputs of the supervised positions */
    int rows, hidden;
    const gt_matrix *embed; /* [V, hidden], any storage format; decoded tile by tile */
    const int32_t *target;  /* [rows] */
    double *loss;           /* [rows] out */
    int32_t *argmax;        /* [rows] out, lowest id on ties; NULL if not wanted */
    float *dxf;   /* [rows, hidden] f32 out: d(sum of losses)/d xf, not divided by anything; NULL if not wanted */
    void *buffer; /* gt_kernels.head_buffer_bytes(...) bytes */
    size_t buffer_bytes;
} gt_head_loss;

/* What sizes scratch: the largest of everything that will be asked for. */
typedef struct {
    int hidden, inter, heads, kv_heads, head_dim, vocab, lora_rank;
    int max_tokens; /* rows of a call, and keys of one document or cache */
} gt_kernel_dims;

typedef struct gt_kernels {
    const char *name; /* "ref", "cpu" */
    /* What was chosen at run time: "plain C", "avx512_core_bf16", "avx2 (bf16 by float32)" ...: part of the numerics,
     * recorded in checkpoints. */
    const char *path;
    gt_dtype act;

    /* Bytes of scratch a worker needs so that no operation within dims fails. */
    size_t (*scratch_bytes)(const gt_kernel_dims *dims);

    /* --- embed.h: out[n, H] = round(E[ids] * multiplier). id must be in [0, E.rows): GT_ERR_ARG. */
    gt_status (*embed)(gt_exec *x, void *out, const gt_matrix *e, const int32_t *ids, int n, float multiplier);

    /* --- decode.h: rows [row0, row0 + nrows) of m to act, out [nrows, m.cols] contiguous. */
    gt_status (*decode)(gt_exec *x, void *out, const gt_matrix *m, int row0, int nrows);

    /* All of m to act in an order for products (weight_order.h): out m.rows * m.cols elements, 64-byte aligned. */
    gt_status (*decode_weight)(gt_exec *x, void *out, const gt_matrix *m, gt_weight_order order);

    /* --- matmul.h */
    gt_status (*gemm)(gt_exec *x, const gt_gemm *g);

    /* --- norm.h: g [cols] f32 is the factor (1 + w). y = round(x * r * g), r = 1/sqrt(mean x^2 + eps). */
    gt_status (*rmsnorm)(gt_exec *x, void *y, const void *in, const float *g, int rows, int cols, float eps);
    /* out = round(base + round(norm(in))): the residual add behind a post-norm; out may be base. */
    gt_status (*rmsnorm_add)(gt_exec *x, void *out, const void *base, const void *in, const float *g, int rows,
                             int cols, float eps);
    /* dx = norm backward of dy at in. dy is dy_dtype, dx is dx_dtype (act or GT_F32); accumulate: dx += (GT_F32 only).
     */
    gt_status (*rmsnorm_bwd)(gt_exec *x, void *dx, gt_dtype dx_dtype, bool accumulate, const void *dy,
                             gt_dtype dy_dtype, const void *in, const float *g, int rows, int cols, float eps);

    /* --- rope.h: per token and head, y = rope(norm(in; g)). in, y: [n, heads, d] act with strides between tokens.
     * cos, sin: [positions, d/2] f32, already rounded to act's precision; pos [n] < positions. y may be in. */
    gt_status (*norm_rope)(gt_exec *x, void *y, ptrdiff_t y_stride, const void *in, ptrdiff_t in_stride, const float *g,
                           const float *cos, const float *sin, const int32_t *pos, int n, int heads, int d, float eps);
    /* d_in = norm backward(rope^T(dy)) at in; d_in may be dy. act throughout. */
    gt_status (*norm_rope_bwd)(gt_exec *x, void *d_in, ptrdiff_t d_in_stride, const void *dy, ptrdiff_t dy_stride,
                               const void *in, ptrdiff_t in_stride, const float *g, const float *cos, const float *sin,
                               const int32_t *pos, int n, int heads, int d, float eps);

    /* --- attention.h */
    gt_status (*attention)(gt_exec *x, const gt_attn *a);
    /* Bytes of gt_attn_grad.buffer for a batch of up to max_tokens rows; may be 0. */
    size_t (*attention_bwd_buffer_bytes)(const gt_kernel_dims *dims);
    gt_status (*attention_bwd)(gt_exec *x, const gt_attn_grad *a);

    /* --- mlp.h: h = round(round(gelu(gate)) * up), [count] act. */
    gt_status (*geglu)(gt_exec *x, void *h, const void *gate, const void *up, size_t count);
    /* dgate, dup from dh (act); in place: dgate may be gate, dup may be up. */
    gt_status (*geglu_bwd)(gt_exec *x, void *dgate, void *dup, const void *dh, const void *gate, const void *up,
                           size_t count);

    /* --- dropout.h: y = keep ? in / (1-p) : 0 for element (row, col): keep iff gt_rng_u64(row_key[row] ^ module_key,
     * col) as a 64-bit fraction >= p. in, y: [rows, cols]; in_dtype, y_dtype: act or GT_F32; y += when accumulate
     * (GT_F32). */
    gt_status (*dropout)(gt_exec *x, void *y, gt_dtype y_dtype, bool accumulate, const void *in, gt_dtype in_dtype,
                         const uint64_t *row_key, uint64_t module_key, float p, int rows, int cols);

    /* --- elementwise.h: y[i] = round(in[i]) between act and GT_F32 (either way; same dtype copies). */
    gt_status (*cast)(gt_exec *x, void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype, size_t count);
    /* y[i] = in[row[i]] (act), and dst[row[i]] += src[i] (f32; the rows named are distinct). */
    gt_status (*gather_rows)(gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols); /* act */
    gt_status (*scatter_rows)(gt_exec *x, float *dst, int dst_rows, const float *src, const int32_t *row, int n,
                              int cols);

    /* --- xent.h */
    size_t (*head_buffer_bytes)(int rows, int hidden, int vocab);
    gt_status (*head_loss)(gt_exec *x, const gt_head_loss *h);
    /* logits[rows, V] f32 = xf E^T, not rounded. buffer as for head_loss. */
    gt_status (*head_logits)(gt_exec *x, float *logits, const void *xf, int rows, int hidden, const gt_matrix *embed,
                             void *buffer, size_t buffer_bytes);

    /* --- adamw.h: docs/model/lora.md section 10 on [n] f32, fused form; bc1 = 1 - beta1^t, bc2 = 1 - beta2^t; g is
     * multiplied by clip first (section 9). */
    gt_status (*adamw)(gt_exec *x, float *p, float *m, float *v, const float *g, size_t n, float clip, double lr,
                       double beta1, double beta2, double eps, double weight_decay, double bc1, double bc2);

    /* --- reduce.h: exact sums in 64-bit fixed point. sum[i] += round(g[i] * 2^shift); *bad |= 1 if any g is not finite
     * or a term or sum leaves +-2^53 (so that 512 ranks cannot overflow). */
    gt_status (*fix_add)(gt_exec *x, int64_t *sum, const float *g, size_t n, int shift, int *bad);
    /* g[i] = (float)(sum[i] * scale), in double. */
    gt_status (*fix_get)(gt_exec *x, float *g, const int64_t *sum, size_t n, double scale);
    /* Sum of squares in double, in an order fixed by n alone. */
    gt_status (*sum_squares)(gt_exec *x, double *out, const float *g, size_t n);
} gt_kernels;

typedef enum { GT_BACKEND_AUTO, GT_BACKEND_CPU, GT_BACKEND_REF, GT_BACKEND_COUNT } gt_backend;

/* What a backend hands in. Paths are the instruction sets it can be held to, numbered upwards from 0: each does all
 * that the ones below it do. Static storage throughout. */
typedef struct {
    gt_backend id;
    const char *name;                         /* "ref", "cpu" */
    const gt_kernels *(*table)(gt_dtype act); /* NULL: none for that dtype */
    int (*path)(const char **name);           /* the path in use and its name; NULL: there is only one */
    void (*lower)(int path);                  /* to a lower path, before the first operation */
} gt_backend_filling;

/* Makes a backend known; the last one offered under an id counts. Before any other call here, on one thread: this
 * folder names no backend, so the program offers what it was linked with (backends.h). */
void gt_kernels_offer(const gt_backend_filling *filling);

/* The table of a backend for a compute dtype; AUTO is the fastest this machine runs (cpu). Static storage.
 * GT_ERR_CONFIG: that backend has no such table (F64 exists in ref only), or the program offers no such backend. */
gt_status gt_kernels_get(const gt_kernels **out, gt_backend backend, gt_dtype act);

/* The path a backend uses: 0 where it has one only. Part of the numerics: ranks on unlike machines agree on the lowest
 * and call gt_kernels_lower before the first operation. *name: static. */
int gt_kernels_path(gt_backend backend, const char **name);
void gt_kernels_lower(gt_backend backend, int path);

#endif
