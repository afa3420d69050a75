/* reduce.h - sums whose bits do not depend on who adds what when.
 *   fix_add: t = g[i] * 2^shift rounded to the nearest integer, ties to even; sum[i] += t. *bad |= 1 and sum[i] is left
 *            alone when g[i] is not finite or t or the new sum leaves [-2^53, 2^53]: exact whatever the order, so a sum
 *            over micro-batches, threads and ranks has one value.
 *   fix_get: g[i] = (float)(sum[i] * scale) in double.
 *   sum_squares: *out = sum g[i]^2 in double: 64 equal parts of [0, n), in a part eight partial sums over i mod 8 from
 *            its begin, added in order; then the parts in order. A function of n and g alone.
 * shift in [-1000, 1000] (GT_ERR_ARG). Every backend gives the same bits in all three. */
#ifndef GT_REDUCE_H
#define GT_REDUCE_H

#include "exec.h"

#include <stddef.h>
#include <stdint.h>

typedef gt_status gt_fix_add_fn(gt_exec *x, int64_t *sum, const float *g, size_t n, int shift, int *bad);
typedef gt_status gt_fix_get_fn(gt_exec *x, float *g, const int64_t *sum, size_t n, double scale);
typedef gt_status gt_sum_squares_fn(gt_exec *x, double *out, const float *g, size_t n);

/* GT_ERR_ARG unless shift lies in [-1000, 1000]. */
gt_status gt_fix_add_check(int shift);

enum { GT_SUM_PARTS = 64, GT_SUM_LANES = 8 };

/* Where part p of [0, n) begins; p may be GT_SUM_PARTS. */
static inline size_t gt_sum_part(size_t n, size_t p)
{
    return n / GT_SUM_PARTS * p + n % GT_SUM_PARTS * p / GT_SUM_PARTS;
}

#endif
