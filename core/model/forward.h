/* forward.h - the model as straight kernel calls (docs/model/gemma3.md section 2), for training, scoring and generation
 * alike. */
#ifndef GT_FORWARD_H
#define GT_FORWARD_H

#include "batch.h"
#include "kv_source.h"
#include "model.h"
#include "pass.h"

/* What the pass is for. */
typedef struct {
    /* [batch->docs]: where each document's earlier keys and values are, and its adapter; sources differ, and are
     * advanced on success. NULL: every document by itself, with the model's adapter. Not in a training pass. */
    const gt_span_source *source;
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
 * what the backward needs is kept in p. A document with a source is one that continues it, several tokens of a prompt
 * or the next of an answer. On failure sources hold what they held.
 * GT_ERR_DATA: ids or positions out of range; GT_ERR_ARG: a batch or adapter that the pass was not made for, a document
 * that does not continue its source, has none and does not begin at position 0, or finds no room in it; a source given
 * twice; GT_ERR_INTERRUPTED: a stop was asked. */
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
