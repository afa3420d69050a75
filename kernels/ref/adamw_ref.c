/* docs/model/lora.md section 10 element by element, in double. p loses its decay before m and v move, which is what
 * makes the decay decoupled; each of m, v and p is rounded once, when it is stored, and p reads them rounded. */
#include "ref_kernels.h"

#include <math.h>

gt_status gt_adamw_ref(gt_exec *x, float *p, float *m, float *v, const float *g, size_t n, float clip, double lr,
                       double beta1, double beta2, double eps, double weight_decay, double bc1, double bc2)
{
    (void)x;
    for (size_t i = 0; i < n; i++) {
        double grad = (double)clip * (double)g[i];
        double param = (double)p[i] - lr * weight_decay * (double)p[i];
        m[i] = (float)(beta1 * (double)m[i] + (1 - beta1) * grad);
        v[i] = (float)(beta2 * (double)v[i] + (1 - beta2) * grad * grad);
        p[i] = (float)(param - lr / bc1 * (double)m[i] / (sqrt((double)v[i]) / sqrt(bc2) + eps));
    }
    return GT_OK;
}
