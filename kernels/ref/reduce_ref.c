/* The order of these sums is part of the contract (reduce.h), so this is also what every other backend computes, to the
 * bit: in double an integer up to 2^53 is exact, which is why sums stop there. */
#include "ref_kernels.h"

#include <math.h>

gt_status gt_fix_add_ref(gt_exec *x, int64_t *sum, const float *g, size_t n, int shift, int *bad)
{
    (void)x;
    GT_TRY(gt_fix_add_check(shift));
    const double most = 0x1p53, unit = ldexp(1.0, shift);
    for (size_t i = 0; i < n; i++) {
        double t = nearbyint((double)g[i] * unit);
        if (!(fabs(t) <= most)) { /* also when it is no number */
            *bad |= 1;
            continue;
        }
        int64_t next = sum[i] + (int64_t)t;
        if (next > (int64_t)1 << 53 || next < -((int64_t)1 << 53))
            *bad |= 1;
        else
            sum[i] = next;
    }
    return GT_OK;
}

gt_status gt_fix_get_ref(gt_exec *x, float *g, const int64_t *sum, size_t n, double scale)
{
    (void)x;
    for (size_t i = 0; i < n; i++) g[i] = (float)((double)sum[i] * scale);
    return GT_OK;
}

gt_status gt_sum_squares_ref(gt_exec *x, double *out, const float *g, size_t n)
{
    (void)x;
    double total = 0;
    for (size_t part = 0; part < GT_SUM_PARTS; part++) {
        size_t begin = gt_sum_part(n, part), end = gt_sum_part(n, part + 1);
        double lane[GT_SUM_LANES] = {0}, sum = 0;
        for (size_t i = begin; i < end; i++) lane[(i - begin) % GT_SUM_LANES] += (double)g[i] * (double)g[i];
        for (int l = 0; l < GT_SUM_LANES; l++) sum += lane[l];
        total += sum;
    }
    *out = total;
    return GT_OK;
}
