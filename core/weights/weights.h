/* weights.h - an opened base model: any source (Hugging Face folder, GGUF, .gtq) behind one view. Everything is mapped
 * read-only and shared, so all ranks of a node hold one copy. Nothing here computes. */
#ifndef GT_WEIGHTS_H
#define GT_WEIGHTS_H

#include "matrix.h"
#include "model_config.h"
#include "status.h"

#include <stddef.h>

typedef enum {
    GT_Q_PROJ,
    GT_K_PROJ,
    GT_V_PROJ,
    GT_O_PROJ,
    GT_GATE_PROJ,
    GT_UP_PROJ,
    GT_DOWN_PROJ,
    GT_PROJ_COUNT
} gt_proj;

typedef enum {
    GT_INPUT_NORM,          /* input_layernorm [H] */
    GT_Q_NORM,              /* self_attn.q_norm [d] */
    GT_K_NORM,              /* self_attn.k_norm [d] */
    GT_POST_ATTENTION_NORM, /* post_attention_layernorm [H] */
    GT_PRE_MLP_NORM,        /* pre_feedforward_layernorm [H] */
    GT_POST_MLP_NORM,       /* post_feedforward_layernorm [H] */
    GT_NORM_COUNT
} gt_norm;

/* "q_proj" ...; "self_attn.q_proj" ... (path below layers.N.); static strings. */
const char *gt_proj_name(gt_proj p);
const char *gt_proj_path(gt_proj p);

/* One projection of one layer. Tables with an entry for each (ranks, digests, tensors) run layer by layer: entry i is
 * that of gt_slot_at(i), and there are gt_slot_count of them. */
typedef struct {
    int layer;
    gt_proj proj;
} gt_slot;

static inline int gt_slot_count(const gt_model_config *c)
{
    return c->num_hidden_layers * GT_PROJ_COUNT;
}

static inline gt_slot gt_slot_at(int i)
{
    return (gt_slot){.layer = i / GT_PROJ_COUNT, .proj = (gt_proj)(i % GT_PROJ_COUNT)};
}

static inline int gt_slot_index(gt_slot s)
{
    return s.layer * GT_PROJ_COUNT + (int)s.proj;
}

/* [rows = out_features, cols = in_features] of a projection under a config. */
void gt_proj_shape(const gt_model_config *c, gt_proj p, int *rows, int *cols);

typedef struct gt_weights {
    gt_model_config config;
    gt_matrix embed; /* [V, H] */
    gt_matrix proj[GT_MAX_LAYERS][GT_PROJ_COUNT];
    float *norm[GT_MAX_LAYERS][GT_NORM_COUNT]; /* factors 1 + w, f32, owned */
    float *final_norm;                         /* [H] factor */
    char source[16];                           /* "huggingface", "gguf", "gtq" */
    char *path;                                /* as resolved, owned */
    char prefix[40]; /* of the module tree that transformers builds for this base, on which adapter names are built:
                        "model.", "model.language_model." (multimodal, whichever way its file spells it) or "" */
    const struct gt_gtq_info *packed; /* what a .gtq says about itself (gtq.h); NULL for other sources */
    struct gt_weights_store *store;   /* the mappings; private */
} gt_weights;

/* The projection of gt_slot_at(i). */
static inline const gt_matrix *gt_weights_slot(const gt_weights *w, int i)
{
    const gt_slot s = gt_slot_at(i);
    return &w->proj[s.layer][s.proj];
}

/* Opens MODEL: a folder, a .gguf, a .gtq, or a hub id found in the local Hugging Face cache (GT_ERR_DATA with the
 * download command otherwise). Checks every tensor's presence, shape and dtype. *out is the caller's; gt_weights_close.
 * GT_ERR_DATA / GT_ERR_IO name file and tensor. */
gt_status gt_weights_open(gt_weights **out, const char *model);
void gt_weights_close(gt_weights *w); /* NULL is fine */

/* What the projections are stored as: the one answer to "is this base 4-bit?". */
typedef enum {
    GT_FOURBIT_NONE, /* none is 4-bit */
    GT_FOURBIT_SOME, /* some are NF4, none is FP4: quantizing the others makes an NF4 base */
    GT_FOURBIT_NF4,  /* all are NF4 */
    GT_FOURBIT_FP4   /* at least one is FP4, bitsandbytes' other code: read and kept, never made, never an NF4 base */
} gt_fourbit;
gt_fourbit gt_weights_fourbit(const gt_weights *w);

/* Elements of all tensors: the model's parameter count (a tied head counts once). */
uint64_t gt_weights_parameters(const gt_weights *w);

/* SHA-256 over config dimensions and the contents (not the names or layout) of every tensor, decoded identity apart:
 * two bases of equal shapes but different numbers differ. Slow (reads everything, with a progress line over 2 s) unless
 * the source carries it (.gtq does). hex: 65 bytes. */
gt_status gt_weights_identity(const gt_weights *w, char hex[65]);

#endif
