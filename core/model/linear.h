/* linear.h - private to core/model: the three products of a linear layer y = x W^T, named as the formulas name them
 * (docs/model/gemma3.md section 2; gradients: docs/model/backward.md section 1.4).
 * x, dx [n, in] and y, dy [n, out] are contiguous; operands are act; roundings as gt_gemm has them. */
#ifndef GT_LINEAR_H
#define GT_LINEAR_H

#include "table.h"

/* Who multiplies, and the rows of x and y. */
typedef struct {
    const gt_kernels *k;
    gt_exec *x;
    int n;
} gt_linear_rows;

/* W [out, in] act. */
typedef struct {
    const void *at;
    int out, in;
    gt_weight_order order;
} gt_linear_weight;

/* Where a product goes: at = scale * product, or that added to what is there; rounded once, to dtype. */
typedef struct {
    void *at;
    gt_dtype dtype; /* act or GT_F32 */
    float scale;
    bool add;
} gt_linear_sum;

/* y (+)= scale x W^T */
gt_status gt_linear(const gt_linear_rows *r, gt_linear_sum y, const void *x, gt_linear_weight w);

/* dx (+)= scale dy W */
gt_status gt_linear_dx(const gt_linear_rows *r, gt_linear_sum dx, const void *dy, gt_linear_weight w);

/* dW (+)= scale dy^T x; of w only the shape is read. */
gt_status gt_linear_dw(const gt_linear_rows *r, gt_linear_sum dw, const void *dy, const void *x, gt_linear_weight w);

#endif
