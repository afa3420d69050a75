/* optim.h - clipping and AdamW over the adapter's flat vector (docs/model/lora.md sections 9 and 10). */
#ifndef GT_OPTIM_H
#define GT_OPTIM_H

#include "arena.h"
#include "lora.h"
#include "recipe.h"

typedef struct {
    double beta1, beta2, eps, weight_decay;
    double max_grad_norm; /* <= 0: no clipping */
    long updates;         /* made so far: the t of the formula; a skipped step is none */
    float *m, *v;         /* [count] f32 moments */
} gt_optim;

/* The numbers that a recipe asks for. */
void gt_optim_of_recipe(gt_optim *o, const gt_recipe *r);

/* Pushes m and v, [count] each. */
void gt_optim_carve(gt_optim *o, gt_arena *a, size_t count);

/* The L2 norm of g [lora->count], in double. */
gt_status gt_optim_grad_norm(const gt_lora *l, const gt_kernels *k, gt_exec *x, const float *g, double *norm);

/* One update of l->param with learning rate lr; g is the mean gradient before clipping, norm its norm. Refreshes
 * l->act. GT_ERR_ARG: norm is not finite (the caller decides what a bad step means). */
gt_status gt_optim_step(gt_optim *o, gt_lora *l, const gt_kernels *k, gt_exec *x, const float *g, double norm,
                        double lr);

#endif
