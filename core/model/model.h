/* model.h - a Gemma 3 ready to compute: frozen base, kernel table, RoPE tables, optional adapter, and the memory of one
 * pass. Structs with a shape on every field; the calls are in resident.h, forward.h, backward.h.
 *
 * A pass is what is computed at once: the tokens of one or more documents, laid end to end without padding (n tokens).
 * H hidden_size, F intermediate_size, Q = heads * head_dim, K = kv_heads * head_dim, R adapter rank, L layers.
 * act = the table's compute dtype. */
#ifndef GT_MODEL_H
#define GT_MODEL_H

#include "arena.h"
#include "batch.h"
#include "lora.h"
#include "table.h"
#include "weights.h"

/* What is kept between the forward and the backward pass. */
typedef enum {
    GT_KEEP_INPUTS, /* gradient checkpointing "full": each layer's input only; the layer is run again in backward */
    GT_KEEP_NO_MLP, /* "gate_up": all but the two [n, F] products, which are run again */
    GT_KEEP_ALL     /* "none" */
} gt_keep;

/* The decoded weights of one layer while they are held (gt_resident_acquire ... release). */
typedef struct {
    const void *proj[GT_PROJ_COUNT]; /* act [out, in], contiguous, lying as order says */
    gt_weight_order order[GT_PROJ_COUNT];
    const float *norm[GT_NORM_COUNT]; /* f32 factors 1 + w: [H] or [head_dim] */
} gt_layer_weights;

/* Activations of one layer that its backward needs. */
typedef struct {
    void *q, *k, *v; /* [n, Q], [n, K], [n, K] act: projections, before norm and RoPE */
    void *o;         /* [n, Q] act: attention's output */
    float *lse;      /* [n, heads] */
    void *y;         /* [n, H] act: o_proj's output */
    void *x1;        /* [n, H] act: residual after attention */
    void *gate, *up; /* [n, F] act */
    void *m;         /* [n, H] act: down_proj's output */
} gt_layer_acts;

/* The memory of passes up to max_tokens. Carved by gt_pass_carve from one arena, so that what --dry-run prints is what
 * is used. */
typedef struct {
    int max_tokens, head_rows;
    bool training;
    gt_keep keep;
    void *x[GT_MAX_LAYERS + 1]; /* residual stream [n, H] act: x[l] enters layer l, x[L] leaves the last. Without
                                 * training two buffers alternate */
    gt_layer_acts layer[GT_MAX_LAYERS]; /* without GT_KEEP_ALL layers share memory */
    bool few;                           /* x[L] and the last layer's y, x1, gate, up, m hold the targets' rows alone */
    int live;                           /* the layer whose shared activations are still whole, or -1 */
    void *norm_out;                     /* [n, H] act */
    void *q_rot, *k_rot;                /* [n, Q], [n, K] act: after norm and RoPE */
    void *h;                            /* [n, F] act */
    gt_lora_work lora;
    uint64_t *target_key; /* [n] those of the rows with a target */
    int32_t *row_map;     /* [n] training: where a row's gradient stands among the targets' */
    uint64_t *row_key;    /* [n] dropout streams of the tokens; NULL without dropout */
    gt_attn_span *span;   /* [max documents] */
    int max_spans;
    /* training only */
    float *dx;          /* [n, H] f32: gradient of the residual stream */
    float *d_norm;      /* [n, H] f32 */
    void *d_small;      /* [n, H] act */
    void *d_h;          /* [n, max(F, Q)] act */
    void *d_o;          /* [n, Q] act */
    void *dq, *dk, *dv; /* act, as q, k, v */
    float *d_wide;      /* [n, max(F, Q)] f32; only with dropout, else NULL */
    void *attn_buffer;  /* the kernels' partial sums of dk and dv */
    size_t attn_buffer_bytes;
    /* head: chunks of head_rows supervised rows */
    void *head_in, *head_xf; /* [head_rows, H] act */
    float *d_xf, *d_head;    /* [head_rows, H] f32 */
    double *loss;            /* [head_rows] */
    int32_t *argmax;         /* [head_rows] */
    int32_t *head_row;       /* [head_rows] */
    void *head_buffer;
    size_t head_buffer_bytes;
} gt_pass;

typedef struct gt_model {
    const gt_weights *weights;     /* borrowed */
    const gt_model_config *config; /* &weights->config */
    const gt_kernels *k;
    gt_exec x;              /* pool owned by the model */
    const gt_lora *lora;    /* borrowed; NULL without adapter */
    float embed_multiplier; /* sqrt(H): f32, or rounded to bf16 in bf16 mode (docs/model/gemma3.md section 2.1) */
    float attn_scale;
    int positions;                    /* RoPE tables reach this far */
    float *rope_cos[2], *rope_sin[2]; /* [0] sliding, [1] full: [positions, head_dim / 2], act precision */
    void *slot;                       /* decoded weights of the layer in hand */
    gt_layer_weights held;
    int held_layer; /* -1: none */
    int slot_layer; /* whose weights the slot still holds (they survive a release), or -1 */
    gt_weight_order slot_order;
    gt_arena arena; /* rope, slot, scratch */
} gt_model;

typedef struct {
    gt_backend backend;
    gt_dtype act;
    int threads;    /* 0: gt_pool_default_threads() */
    int positions;  /* longest document + what may be generated */
    int lora_rank;  /* largest rank an adapter will have; 0: none */
    int max_tokens; /* largest pass: sizes kernel scratch */
} gt_model_options;

/* What sizes kernel scratch and buffers: the largest pass, cache or document (tokens) and adapter rank that will be
 * used. */
gt_kernel_dims gt_model_kernel_dims(const gt_model_config *c, int max_tokens, int lora_rank);

/* Bytes of the model's own memory by name (decoded layer, RoPE tables, kernel scratch): measures into plan. */
gt_status gt_model_plan(gt_arena *plan, const gt_weights *w, const gt_model_options *o);

/* Makes a model over opened weights, which must outlive it. GT_ERR_CONFIG: no such table. Release: gt_model_destroy. */
gt_status gt_model_create(gt_model **out, const gt_weights *w, const gt_model_options *o);
void gt_model_destroy(gt_model *m); /* NULL is fine */

/* Carves (or measures) the memory of passes. lora may be NULL. */
typedef struct {
    int max_tokens, max_documents, head_rows;
    bool training;
    gt_keep keep;
} gt_pass_options;
void gt_pass_carve(gt_pass *p, gt_arena *a, const gt_weights *w, const gt_kernels *k, const gt_lora *lora,
                   const gt_pass_options *o);

#endif
