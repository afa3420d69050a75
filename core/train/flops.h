/* flops.h - the arithmetic a training micro-batch needs: what TFLOP/s on the progress line and in the benchmarks
 * divide. Counted: products with frozen weights (2 a weight and token), unmasked attention pairs, the head on
 * supervised positions, adapters; times forward, recomputation and input gradients as they are really run. Not counted:
 * norms, softmax, NF4. */
#ifndef GT_FLOPS_H
#define GT_FLOPS_H

#include "pass.h"

typedef struct {
    double linear;    /* one forward through all frozen projections */
    double attention; /* one forward: scores and values over unmasked pairs */
    double head;      /* one forward of the head over the targets */
    double adapter;   /* one forward of the adapters */
    double total;     /* forward + recomputation + backward as the pass does them */
} gt_flops;

/* Adds the arithmetic of one document of n tokens with `targets` supervised positions to *f. lora may be NULL (nothing
 * is trained: total is the forward). keep as the pass. */
void gt_flops_add(gt_flops *f, const gt_model_config *c, const gt_lora *lora, gt_keep keep, int n, int targets);

#endif
