/* gelu by tanh in double. In between only gelu(gate) is rounded, forward and backward alike: the eager path stores
 * it. */
#include "ref_access.h"
#include "ref_kernels.h"

#include <math.h>
#include <stdint.h>

static const double k0 = 0.7978845608028654, k1 = 0.044715; /* sqrt(2 / pi) */

static double gelu(double z)
{
    return 0.5 * z * (1 + tanh(k0 * (z + k1 * z * z * z)));
}

static double gelu_slope(double z)
{
    double t = tanh(k0 * (z + k1 * z * z * z));
    return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * k0 * (1 + 3 * k1 * z * z);
}

typedef struct {
    gt_dtype act;
    void *h, *dgate, *dup;
    const void *dh, *gate, *up;
    size_t count;
} job;

enum { CHUNK = 4096 };

static void forward_chunk(void *context, int task, int worker)
{
    (void)worker;
    const job *j = context;
    size_t begin = (size_t)task * CHUNK, end = j->count - begin < CHUNK ? j->count : begin + CHUNK;
    for (size_t s = begin; s < end; s++) {
        ptrdiff_t i = (ptrdiff_t)s;
        double activated = gt_ref_round(j->act, gelu(gt_ref_get(j->act, j->gate, i)));
        gt_ref_put(j->act, j->h, i, activated * gt_ref_get(j->act, j->up, i));
    }
}

static void backward_chunk(void *context, int task, int worker)
{
    (void)worker;
    const job *j = context;
    size_t begin = (size_t)task * CHUNK, end = j->count - begin < CHUNK ? j->count : begin + CHUNK;
    for (size_t s = begin; s < end; s++) {
        ptrdiff_t i = (ptrdiff_t)s;
        double dh = gt_ref_get(j->act, j->dh, i), z = gt_ref_get(j->act, j->gate, i);
        double up = gt_ref_get(j->act, j->up, i);
        gt_ref_put(j->act, j->dgate, i, dh * up * gelu_slope(z));
        gt_ref_put(j->act, j->dup, i, dh * gt_ref_round(j->act, gelu(z)));
    }
}

static gt_status run(gt_exec *x, job *j, gt_task task)
{
    if (j->count == 0) return GT_OK;
    size_t tasks = (j->count - 1) / CHUNK + 1;
    if (tasks > INT32_MAX) return GT_FAIL(GT_ERR_ARG, "gated activation of %zu elements in one call", j->count);
    gt_pool_run(x->pool, (int)tasks, task, j);
    return GT_OK;
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_geglu_ref_##suffix(gt_exec *x, void *h, const void *gate, const void *up, size_t count)               \
    {                                                                                                                  \
        job j = {type, h, NULL, NULL, NULL, gate, up, count};                                                          \
        return run(x, &j, forward_chunk);                                                                              \
    }                                                                                                                  \
    gt_status gt_geglu_bwd_ref_##suffix(gt_exec *x, void *dgate, void *dup, const void *dh, const void *gate,          \
                                        const void *up, size_t count)                                                  \
    {                                                                                                                  \
        job j = {type, NULL, dgate, dup, dh, gate, up, count};                                                         \
        return run(x, &j, backward_chunk);                                                                             \
    }
GT_REF_EACH(INSTANCE)
