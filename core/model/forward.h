/* forward.h - the model as straight kernel calls (docs/model/gemma3.md section 2), for training, scoring and generation
 * alike. */
#ifndef GT_FORWARD_H
#define GT_FORWARD_H

#include "batch.h"
#include "model.h"

/* Keys and values of one sequence, layer by layer, for generation. */
typedef struct {
    int capacity;           /* tokens */
    int len;                /* tokens held: the next token's position */
    void *k[GT_MAX_LAYERS]; /* [capacity, K] act, after norm and RoPE */
    void *v[GT_MAX_LAYERS]; /* [capacity, K] act */
} gt_kv_cache;

void gt_kv_cache_carve(gt_kv_cache *c, gt_arena *a, const gt_model_config *config, gt_dtype act, int capacity);

/* What the pass is for. */
typedef struct {
    gt_kv_cache *cache; /* NULL, or: the batch is one document that continues at cache->len (advanced on success) */
    /* Training: what follows the last layer's attention is computed for the rows with a target alone; afterwards only
     * gt_forward_loss and gt_backward may look at the result. */
    bool targets_only;
    bool dropout;   /* training: the adapter's dropout is on */
    uint64_t epoch; /* part of the dropout key */
    /* Called with the residual stream [n, H] act entering layer l (l = L: leaving the last) if not NULL: tests,
     * inspection. */
    void (*observe)(void *context, int layer, const void *x, int n);
    void *observe_context;
} gt_forward_options;

/* Runs embedding and all layers over the batch; p->x[L] holds the result. batch->n <= p->max_tokens. In a training pass
 * what the backward needs is kept in p. GT_ERR_ARG: ids or positions out of range; GT_ERR_INTERRUPTED: a stop was
 * asked. */
gt_status gt_forward(gt_model *m, gt_pass *p, const gt_batch *batch, const gt_forward_options *o);

/* One layer again, into p's shared activations: what backward calls under checkpointing. mlp_only: gate and up alone.
 */
gt_status gt_forward_recompute(gt_model *m, gt_pass *p, const gt_batch *batch, int layer, bool mlp_only);

/* Losses of a batch's targets after gt_forward, in chunks of p->head_rows rows. */
typedef struct {
    double loss; /* sum over targets, in target order */
    int correct; /* targets that were the argmax */
} gt_loss_sum;

/* nll [targets] and greedy [targets] may be NULL. with_gradient: also fills p->dx with d(sum of losses)/d x[L]. */
gt_status gt_forward_loss(gt_model *m, gt_pass *p, const gt_batch *batch, bool with_gradient, gt_loss_sum *sum,
                          double *nll, int32_t *greedy);

/* Logits [rows, V] f32 of given rows of the batch (rows <= p->head_rows). */
gt_status gt_forward_logits(gt_model *m, gt_pass *p, const int32_t *row, int rows, float *logits);

/* Final-norm outputs [rows, H] act of given rows into p->head_xf. */
gt_status gt_forward_hidden(gt_model *m, gt_pass *p, const int32_t *row, int rows);

#endif
