#include "spread.h"

#include <limits.h>

typedef struct {
    size_t count, grain;
    gt_range_fn fn;
    const void *context;
} job;

static void piece(void *context, int task, int worker)
{
    (void)worker;
    const job *j = context;
    size_t begin = (size_t)task * j->grain, left = j->count - begin;
    j->fn(j->context, begin, begin + (left < j->grain ? left : j->grain));
}

void gt_spread(const gt_exec *x, size_t count, size_t grain, gt_range_fn fn, const void *context)
{
    if (count == 0) return;
    while ((count - 1) / grain >= INT_MAX) grain *= 2;
    job j = {count, grain, fn, context};
    gt_pool_run(x->pool, (int)((count - 1) / grain + 1), piece, &j);
}
