/* matmul.h - dense products: C = alpha * op(A) op(B) + beta * C (gt_gemm in table.h says shapes, strides, dtypes).
 * ref sums over k in ascending order in double; cpu sums in float32. C is rounded once. beta 0 never reads C.
 * GT_ERR_ARG: c_dtype is neither act nor GT_F32, or a dimension is negative. */
#ifndef GT_MATMUL_H
#define GT_MATMUL_H

#include "table.h"

typedef gt_status gt_gemm_fn(gt_exec *x, const gt_gemm *g);
gt_gemm_fn gt_gemm_ref_f32, gt_gemm_ref_bf16, gt_gemm_ref_f64;
gt_gemm_fn gt_gemm_cpu_f32, gt_gemm_cpu_bf16;

#endif
