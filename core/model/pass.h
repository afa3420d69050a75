/* pass.h - the memory of a pass, and of what it keeps for the backward.
 *
 * A pass is what is computed at once: the tokens of one or more documents, laid end to end without padding (n tokens).
 * H hidden_size, F intermediate_size, Q = heads * head_dim, K = kv_heads * head_dim, act = the table's compute dtype.
 * Fields marked [host] are read and written by the program itself, all others by kernels alone. */
#ifndef GT_PASS_H
#define GT_PASS_H

#include "arena.h"
#include "lora.h"
#include "table.h"
#include "weights.h"

/* What is kept between the forward and the backward pass. */
typedef enum {
    GT_KEEP_INPUTS, /* gradient checkpointing "full": each layer's input only; the layer is run again in backward */
    GT_KEEP_NO_MLP, /* "gate_up": all but the two [n, F] products, which are run again */
    GT_KEEP_ALL     /* "none" */
} gt_keep;

/* Activations of one layer that its backward needs. */
typedef struct {
    void *q, *k, *v; /* [n, Q], [n, K], [n, K] act: projections, before norm and RoPE */
    void *o;         /* [n, Q] act: attention's output */
    float *lse;      /* [n, heads] */
    void *y;         /* [n, H] act: o_proj's output */
    void *x1;        /* [n, H] act: residual after attention */
    void *gate, *up; /* [n, F] act; their own gradients at the end of the layer's MLP backward */
    void *m;         /* [n, H] act: down_proj's output */
} gt_layer_acts;

typedef struct {
    int max_tokens, head_rows, lora_rank;
    bool training;
    gt_keep keep;
    void *x[GT_MAX_LAYERS + 1]; /* residual stream [n, H] act: x[l] enters layer l, x[L] leaves the last. Without
                                 * training two buffers alternate */
    gt_layer_acts layer[GT_MAX_LAYERS]; /* without GT_KEEP_ALL layers share memory */
    bool few;                           /* x[L] and the last layer's y, x1, gate, up, m hold the targets' rows alone */
    int live;                           /* the layer whose shared activations are still whole, or -1 */
    void *norm_out;                     /* [n, H] act: a, then b (docs/model/gemma3.md section 2) */
    void *q_rot, *k_rot;                /* [n, Q], [n, K] act: after norm and RoPE */
    void *h;                            /* [n, F] act: gelu(gate) * up */
    gt_lora_work lora;
    uint64_t *target_key; /* [n] [host] those of the rows with a target */
    int32_t *row_map;     /* [n] [host] training: where a row's gradient stands among the targets' */
    uint64_t *row_key;    /* [n] [host] dropout streams of the tokens; NULL without dropout */
    gt_attn_span *span;   /* [max documents] [host] */
    int max_spans;

    /* Training only. dX is the gradient of the loss by X (docs/model/backward.md section 1). */
    float *dx;          /* [n, H] f32 [host: zeroed, copied]: of the residual stream, dx2, then dx1, then dx */
    float *d_norm;      /* [n, H] f32: of norm_out, db, then da */
    void *d_branch;     /* [n, H] act: of what a branch adds before its norm, dm, then dy */
    void *d_h;          /* [n, F] act */
    void *d_o;          /* [n, Q] act */
    void *dq, *dk, *dv; /* act, as q, k, v */
    float *d_wide;      /* [n, max(F, Q)] f32: dh, then do, before their rounding; only with dropout, else NULL */
    void *attn_buffer;  /* the kernels' partial sums of dk and dv */
    size_t attn_buffer_bytes;
    /* The rows with a target alone (few). They live in buffers whose own lives begin later: */
    void *few_o;   /* [targets, Q] act, in d_o: attention's output, dead when do is spread over all rows */
    void *few_d_o; /* [targets + 1, Q] act, in dq: its gradient, the last row zero [host]; dead when dq comes */
    float *few_dx; /* [targets, H] f32 [host: copied], in d_norm: dx1, dead when da comes */

    /* Head: chunks of head_rows supervised rows. */
    void *head_in, *head_xf; /* [head_rows, H] act: before and after the final norm */
    float *d_xf, *d_head;    /* [head_rows, H] f32: of head_xf and of head_in */
    double *loss;            /* [head_rows] [host] */
    int32_t *argmax;         /* [head_rows] [host] */
    int32_t *head_row;       /* [head_rows] [host] */
    void *head_buffer;
    size_t head_buffer_bytes;
} gt_pass;

typedef struct {
    int max_tokens, max_documents, head_rows;
    int lora_rank; /* largest rank of an adapter in a pass; 0: none */
    bool training;
    bool dropout; /* training: the adapter has one */
    gt_keep keep;
} gt_pass_options;

/* Carves (or measures) the memory of passes up to max_tokens from one arena, so that what --dry-run prints is what is
 * used. */
void gt_pass_carve(gt_pass *p, gt_arena *a, const gt_weights *w, const gt_kernels *k, const gt_pass_options *o);

/* What sizes kernel scratch and buffers: the largest pass, cache or document (tokens) and adapter rank that will be
 * used. */
gt_kernel_dims gt_pass_kernel_dims(const gt_model_config *c, int max_tokens, int lora_rank);

#endif
