#include "optim.h"

#include <math.h>

void gt_optim_of_recipe(gt_optim *o, const gt_recipe *r)
{
    o->beta1 = r->adam_beta1;
    o->beta2 = r->adam_beta2;
    o->eps = r->adam_epsilon;
    o->weight_decay = r->weight_decay;
    o->max_grad_norm = r->max_grad_norm;
}

void gt_optim_carve(gt_optim *o, gt_arena *a, size_t count)
{
    o->m = gt_arena_push(a, count, sizeof *o->m, "optimizer.exp_avg");
    o->v = gt_arena_push(a, count, sizeof *o->v, "optimizer.exp_avg_sq");
}

gt_status gt_optim_grad_norm(const gt_lora *l, const gt_kernels *k, gt_exec *x, const float *g, double *norm)
{
    /* the norm of the tensors' norms is the norm of all elements: torch rounds each to float32 on the way, we do not */
    double sum;
    GT_TRY(k->sum_squares(x, &sum, g, l->count));
    *norm = sqrt(sum);
    return GT_OK;
}

gt_status gt_optim_step(gt_optim *o, gt_lora *l, const gt_kernels *k, gt_exec *x, const float *g, double norm,
                        double lr)
{
    if (!isfinite(norm)) return GT_FAIL(GT_ERR_ARG, "gradient norm %f", norm);
    float clip = 1.0f;
    if (o->max_grad_norm > 0) clip = (float)fmin(1.0, o->max_grad_norm / (norm + 1e-6));
    o->updates++;
    const double bc1 = 1.0 - pow(o->beta1, (double)o->updates), bc2 = 1.0 - pow(o->beta2, (double)o->updates);
    GT_TRY(k->adamw(x, l->param, o->m, o->v, g, l->count, clip, lr, o->beta1, o->beta2, o->eps, o->weight_decay, bc1,
                    bc2));
    return gt_lora_refresh(l, k, x);
}
