/* Elements to threads; the loops are in elementwise_rows.h. Bound by memory: 20 bytes an element added. */
#include "cpu_kernels.h"
#include "row_loops.h"
#include "spread.h"

#include <math.h>
#include <stdatomic.h>

enum { GRAIN = 32768 };

typedef struct {
    const gt_rows *rows;
    int64_t *sum;
    const float *g;
    double unit;
    atomic_int *bad;
} add_job;

static void add_range(const void *context, size_t begin, size_t end)
{
    const add_job *j = context;
    if (j->rows->fix_add(j->sum + begin, j->g + begin, end - begin, j->unit)) atomic_fetch_or(j->bad, 1);
}

gt_status gt_fix_add_cpu(gt_exec *x, int64_t *sum, const float *g, size_t n, int shift, int *bad)
{
    GT_TRY(gt_fix_add_check(shift));
    atomic_int any = 0;
    add_job j = {gt_rows_current(), sum, g, ldexp(1.0, shift), &any};
    gt_spread(x, n, GRAIN, add_range, &j);
    *bad |= atomic_load(&any);
    return GT_OK;
}

typedef struct {
    const gt_rows *rows;
    float *g;
    const int64_t *sum;
    double scale;
} get_job;

static void get_range(const void *context, size_t begin, size_t end)
{
    const get_job *j = context;
    j->rows->fix_get(j->g + begin, j->sum + begin, end - begin, j->scale);
}

gt_status gt_fix_get_cpu(gt_exec *x, float *g, const int64_t *sum, size_t n, double scale)
{
    get_job j = {gt_rows_current(), g, sum, scale};
    gt_spread(x, n, GRAIN, get_range, &j);
    return GT_OK;
}

typedef struct {
    const gt_rows *rows;
    const float *g;
    size_t n;
    double *part; /* [GT_SUM_PARTS] */
} square_job;

static void square_parts(const void *context, size_t begin, size_t end)
{
    const square_job *j = context;
    for (size_t p = begin; p < end; p++) {
        size_t from = gt_sum_part(j->n, p);
        j->part[p] = j->rows->sum_squares(j->g + from, gt_sum_part(j->n, p + 1) - from);
    }
}

gt_status gt_sum_squares_cpu(gt_exec *x, double *out, const float *g, size_t n)
{
    double part[GT_SUM_PARTS], total = 0;
    square_job j = {gt_rows_current(), g, n, part};
    gt_spread(x, GT_SUM_PARTS, n < GRAIN ? GT_SUM_PARTS : 1, square_parts, &j);
    for (int p = 0; p < GT_SUM_PARTS; p++) total += part[p];
    *out = total;
    return GT_OK;
}
