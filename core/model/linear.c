#include "linear.h"

gt_status gt_linear(const gt_linear_rows *r, gt_linear_sum y, const void *x, gt_linear_weight w)
{
    const gt_gemm g = {.a = x,
                       .lda = w.in,
                       .b = w.at,
                       .ldb = w.in,
                       .tb = true,
                       .b_order = w.order,
                       .c = y.at,
                       .ldc = w.out,
                       .m = r->n,
                       .n = w.out,
                       .k = w.in,
                       .alpha = y.scale,
                       .beta = y.add ? 1 : 0,
                       .c_dtype = y.dtype};
    return r->k->gemm(r->x, &g);
}

gt_status gt_linear_dx(const gt_linear_rows *r, gt_linear_sum dx, const void *dy, gt_linear_weight w)
{
    const gt_gemm g = {.a = dy,
                       .lda = w.out,
                       .b = w.at,
                       .ldb = w.in,
                       .b_order = w.order,
                       .c = dx.at,
                       .ldc = w.in,
                       .m = r->n,
                       .n = w.in,
                       .k = w.out,
                       .alpha = dx.scale,
                       .beta = dx.add ? 1 : 0,
                       .c_dtype = dx.dtype};
    return r->k->gemm(r->x, &g);
}

gt_status gt_linear_dw(const gt_linear_rows *r, gt_linear_sum dw, const void *dy, const void *x, gt_linear_weight w)
{
    const gt_gemm g = {.a = dy,
                       .lda = w.out,
                       .ta = true,
                       .b = x,
                       .ldb = w.in,
                       .c = dw.at,
                       .ldc = w.in,
                       .m = w.out,
                       .n = w.in,
                       .k = r->n,
                       .alpha = dw.scale,
                       .beta = dw.add ? 1 : 0,
                       .c_dtype = dw.dtype};
    return r->k->gemm(r->x, &g);
}
