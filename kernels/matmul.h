/* matmul.h - dense products: C = alpha * op(A) op(B) + beta * C.
 * Accumulated in at least float32, rounded once. beta 0 never reads C.
 * GT_ERR_ARG: c_dtype is neither act nor GT_F32, or a dimension is negative. */
#ifndef GT_MATMUL_H
#define GT_MATMUL_H

#include "decode.h"
#include "dtype.h"
#include "exec.h"

#include <stdbool.h>
#include <stddef.h>

/* C[m,n] = alpha * op(A)[m,k] * op(B)[k,n] + beta * C, beta 0 or 1.
 * ta: A is stored [k,m]; tb: B is stored [n,k] (a linear layer's weight is W [out,in], tb = true, y = x W^T).
 * b_order: of a B that decode_weight wrote, whole, for this very tb; ldb is then as for the row-major W, A is not
 * transposed, and A and C are dense (lda = k, ldc = n).
 * A and B are act. C is c_dtype: act or GT_F32; when it is bf16, alpha * sum + beta * C is what is rounded. */
typedef struct {
    const void *a, *b;
    void *c;
    int m, n, k;
    ptrdiff_t lda, ldb, ldc;
    bool ta, tb;
    gt_weight_order b_order;
    float alpha, beta;
    gt_dtype c_dtype;
} gt_gemm;

typedef gt_status gt_gemm_fn(gt_exec *x, const gt_gemm *g);

#endif
