/* lora.h - the trainable part: low-rank pairs beside some of the frozen projections (docs/model/lora.md section 1), all
 * kept in one flat float32 vector so that optimizer, sums over ranks and checkpoints see one array. */
#ifndef GT_LORA_H
#define GT_LORA_H

#include "arena.h"
#include "lora_config.h"
#include "table.h"
#include "weights.h"

typedef struct {
    int r;         /* 0: this projection has no adapter */
    float scaling; /* lora_alpha / r, or / sqrt(r) with rsLoRA */
    size_t a, b;   /* offsets into the flat vectors: A [r, in] and B [out, r], row-major */
} gt_lora_slot;

typedef struct gt_lora {
    gt_lora_slot slot[GT_MAX_LAYERS][GT_PROJ_COUNT];
    int layers, max_rank;
    int lowest_layer;     /* the first layer with an adapter: the backward pass ends there; layers when there is none */
    size_t count;         /* parameters in all */
    size_t modules;       /* projections with an adapter */
    float dropout;        /* p of the inverted dropout on the adapter's input, training only */
    uint64_t dropout_key; /* of the run: from its seed */
    float *param;         /* [count] f32 masters */
    void *act;            /* [count] copies in the compute dtype; param itself when that is float32 */
} gt_lora;

/* Lays out slots for ranks[gt_slot_index] (0: none) with the given scalings (same indexing): order is layer,
 * projection, A before B. Fills everything but param and act. */
void gt_lora_layout(gt_lora *l, const gt_model_config *c, const int *ranks, const float *scalings);

/* Pushes param and act for a table's compute dtype. */
void gt_lora_carve(gt_lora *l, gt_arena *a, gt_dtype act);

/* Fresh adapters as PEFT makes them. GT_INIT_KAIMING: A uniform in +-1/sqrt(in) (Kaiming, a = sqrt 5), B zero;
 * GAUSSIAN: A normal with standard deviation 1/r, B zero; RANDOM: A as Kaiming, B uniform in +-1/sqrt(r), so the
 * adapter is no zero. Values depend on seed, layer, projection and index only. */
void gt_lora_init(gt_lora *l, const gt_model_config *c, uint64_t seed, gt_init_lora init);

/* Refreshes act from param: after every change of param. */
gt_status gt_lora_refresh(gt_lora *l, const gt_kernels *k, gt_exec *x);

/* What dropout and the products of one call need to know of its rows. */
typedef struct {
    const uint64_t *row_key; /* [n] per token: seed, epoch, sample and position folded; NULL: no dropout (evaluation) */
    void *t;                 /* [n, r] act scratch */
    void *dropped;           /* [n, in] act scratch; NULL without dropout */
    float *wide;             /* [n, in] f32 scratch; NULL without dropout */
} gt_lora_work;

/* One projection's adapter, and the rows it is computed for. All borrowed. */
typedef struct {
    const gt_lora *lora;
    const gt_kernels *k;
    gt_exec *x;
    const gt_model_config *config;
    gt_slot slot;
    int n;
    gt_lora_work work;
} gt_lora_call;

/* out[n, out_features] += scaling * (drop(in) A^T) B^T; nothing where the slot has no adapter. out is act. */
gt_status gt_lora_forward(const gt_lora_call *c, void *out, const void *in);

/* Adds the gradients of A and B to grad [count] f32 (unscaled sums over the tokens), and the adapter's part to
 * d_in [n, in_features] when d_in is not NULL (d_in_dtype: act or GT_F32). docs/model/backward.md section 1.4. */
gt_status gt_lora_backward(const gt_lora_call *c, float *grad, void *d_in, gt_dtype d_in_dtype, const void *d_out,
                           const void *in);

#endif
