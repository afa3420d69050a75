/* Elements to threads; the loops are mlp_rows.h. Floor: three act of memory traffic an element, five backward. */
#include "cpu_kernels.h"
#include "row_loops.h"
#include "spread.h"

typedef struct {
    const gt_rows *rows;
    int type; /* index of act in gt_rows */
    char *h, *dgate, *dup;
    const char *dh, *gate, *up;
} job;

enum { GRAIN = 16384 };

static void forward_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    size_t at = begin * (j->type ? 2 : 4);
    j->rows->geglu[j->type](j->h + at, j->gate + at, j->up + at, end - begin);
}

static void backward_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    size_t at = begin * (j->type ? 2 : 4);
    j->rows->geglu_bwd[j->type](j->dgate + at, j->dup + at, j->dh + at, j->gate + at, j->up + at, end - begin);
}

#define INSTANCE(suffix, index)                                                                                        \
    gt_status gt_geglu_cpu_##suffix(gt_exec *x, void *h, const void *gate, const void *up, size_t count)               \
    {                                                                                                                  \
        job j = {gt_rows_current(), index, h, NULL, NULL, NULL, gate, up};                                             \
        gt_spread(x, count, GRAIN, forward_range, &j);                                                                 \
        return GT_OK;                                                                                                  \
    }                                                                                                                  \
    gt_status gt_geglu_bwd_cpu_##suffix(gt_exec *x, void *dgate, void *dup, const void *dh, const void *gate,          \
                                        const void *up, size_t count)                                                  \
    {                                                                                                                  \
        job j = {gt_rows_current(), index, NULL, dgate, dup, dh, gate, up};                                            \
        gt_spread(x, count, GRAIN, backward_range, &j);                                                                \
        return GT_OK;                                                                                                  \
    }
INSTANCE(f32, 0)
INSTANCE(bf16, 1)
