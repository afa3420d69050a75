/* spread.h - cutting a run of rows or elements into tasks for the pool. */
#ifndef GT_SPREAD_H
#define GT_SPREAD_H

#include "exec.h"

#include <stddef.h>

/* Works on items [begin, end). The cuts must not change a result. */
typedef void (*gt_range_fn)(const void *context, size_t begin, size_t end);

/* Calls fn over [0, count) in pieces of `grain` items (more if there would be too many pieces), over x's threads. */
void gt_spread(const gt_exec *x, size_t count, size_t grain, gt_range_fn fn, const void *context);

/* As many rows of `cols` elements as make a task worth handing out (its cost is a microsecond or two). */
static inline size_t gt_spread_rows(int cols)
{
    enum { TASK_ELEMENTS = 16384 };
    return cols >= TASK_ELEMENTS ? 1 : TASK_ELEMENTS / (size_t)(cols > 0 ? cols : 1);
}

#endif
