#include "shard.h"

#include <stdbool.h>
#include <stdlib.h>

typedef struct {
    int64_t cost;
    size_t number;
} job;

static int dearest_first(const void *a, const void *b)
{
    const job *x = a, *y = b;
    if (x->cost != y->cost) return x->cost > y->cost ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool lighter(const int64_t *load, int a, int b)
{
    return load[a] != load[b] ? load[a] < load[b] : a < b;
}

/* heap[0] is the rank with the least load. */
static void sink(int *heap, const int64_t *load, int size)
{
    for (int at = 0;;) {
        int child = 2 * at + 1;
        if (child >= size) return;
        if (child + 1 < size && lighter(load, heap[child + 1], heap[child])) child++;
        if (!lighter(load, heap[child], heap[at])) return;
        int t = heap[at];
        heap[at] = heap[child];
        heap[child] = t;
        at = child;
    }
}

gt_status gt_shard_assign(int32_t *owner, const int64_t *cost, const uint8_t *skip, size_t count, int size)
{
    if (size < 1) return GT_FAIL(GT_ERR_ARG, "micro-batches over %d ranks; expected at least one", size);
    for (size_t i = 0; i < count; i++)
        if (cost[i] < 0) return GT_FAIL(GT_ERR_ARG, "micro-batch %zu costs %lld; expected >= 0", i, (long long)cost[i]);
    job *jobs = calloc(count + 1, sizeof *jobs);
    int64_t *load = calloc((size_t)size, sizeof *load);
    int *heap = calloc((size_t)size, sizeof *heap);
    gt_status st = GT_OK;
    if (!jobs || !load || !heap) {
        st = GT_FAIL(GT_ERR_NOMEM, "no memory to hand out %zu micro-batches", count);
    } else {
        size_t n = 0;
        for (size_t i = 0; i < count; i++) {
            owner[i] = -1;
            if (!skip || !skip[i]) jobs[n++] = (job){cost[i], i};
        }
        qsort(jobs, n, sizeof *jobs, dearest_first);
        for (int r = 0; r < size; r++) heap[r] = r; /* all loads 0: already a heap */
        for (size_t i = 0; i < n; i++) {
            owner[jobs[i].number] = heap[0];
            load[heap[0]] += jobs[i].cost;
            sink(heap, load, size);
        }
    }
    free(jobs);
    free(load);
    free(heap);
    return st;
}
