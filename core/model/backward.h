/* backward.h - the mirror of forward.h: gradients of the adapter (docs/model/backward.md section 1). */
#ifndef GT_BACKWARD_H
#define GT_BACKWARD_H

#include "forward.h"

/* After gt_forward and gt_forward_loss(with_gradient) on the same training pass and batch: adds d(sum of losses)/d
 * adapter to grad [lora->count] f32. Destroys p's kept activations and dx. GT_ERR_INTERRUPTED: a stop was asked; grad
 * is spoilt. GT_ERR_ARG: no adapter, or no training pass. */
gt_status gt_backward(gt_model *m, gt_pass *p, const gt_batch *batch, float *grad);

#endif
