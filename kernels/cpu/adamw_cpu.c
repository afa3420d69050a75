/* Elements to threads; the loop is in elementwise_rows.h. Floor: 16 bytes read and 12 written an element. */
#include "cpu_kernels.h"
#include "row_loops.h"
#include "spread.h"

#include <math.h>

typedef struct {
    const gt_rows *rows;
    float *p, *m, *v;
    const float *g;
    gt_adamw_factors factors;
} job;

static void adamw_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    j->rows->adamw(j->p + begin, j->m + begin, j->v + begin, j->g + begin, end - begin, &j->factors);
}

gt_status gt_adamw_cpu(gt_exec *x, float *p, float *m, float *v, const float *g, size_t n, float clip, double lr,
                       double beta1, double beta2, double eps, double weight_decay, double bc1, double bc2)
{
    enum { GRAIN = 32768 };
    gt_adamw_factors f = {.clip = clip, .decay = (float)(lr * weight_decay), .step = (float)(lr / bc1)};
    f.beta1 = (float)beta1;
    f.one_minus_beta1 = (float)(1 - beta1);
    f.beta2 = (float)beta2;
    f.one_minus_beta2 = (float)(1 - beta2);
    f.root_bc2 = (float)sqrt(bc2);
    f.eps = (float)eps;
    job j = {gt_rows_current(), p, m, v, g, f};
    gt_spread(x, n, GRAIN, adamw_range, &j);
    return GT_OK;
}
