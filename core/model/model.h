/* model.h - a Gemma 3 ready to compute: frozen base, kernel table, RoPE tables, optional adapter. What it computes in
 * is pass.h; the calls are in forward.h and backward.h. */
#ifndef GT_MODEL_H
#define GT_MODEL_H

#include "arena.h"
#include "lora.h"
#include "resident.h"
#include "table.h"
#include "weights.h"

typedef struct gt_model {
    const gt_weights *weights;     /* borrowed */
    const gt_model_config *config; /* &weights->config */
    const gt_kernels *k;
    gt_exec x;              /* pool owned by the model */
    const gt_lora *lora;    /* the adapter of passes that name no other; borrowed; NULL without */
    float embed_multiplier; /* sqrt(H): f32, or rounded to bf16 in bf16 mode (docs/model/gemma3.md section 2.1) */
    float attn_scale;
    int positions;                    /* RoPE tables reach this far */
    float *rope_cos[2], *rope_sin[2]; /* [0] sliding, [1] full: [positions, head_dim / 2], act precision */
    gt_resident resident;             /* the base's layers, one at a time */
    gt_arena arena;                   /* rope, slot, scratch */
} gt_model;

typedef struct {
    gt_backend backend;
    gt_dtype act;
    int threads;    /* 0: gt_pool_threads_for(0) */
    int positions;  /* longest document + what may be generated */
    int lora_rank;  /* largest rank an adapter will have; 0: none */
    int max_tokens; /* largest pass: sizes kernel scratch */
} gt_model_options;

/* Bytes of the model's own memory by name (decoded layer, RoPE tables, kernel scratch): measures into plan. */
gt_status gt_model_plan(gt_arena *plan, const gt_weights *w, const gt_model_options *o);

/* Makes a model over opened weights, which must outlive it. GT_ERR_CONFIG: no such table. Release: gt_model_destroy. */
gt_status gt_model_create(gt_model **out, const gt_weights *w, const gt_model_options *o);
void gt_model_destroy(gt_model *m); /* NULL is fine */

#endif
