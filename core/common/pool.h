/* pool.h - the threads of one rank. A run hands out numbered tasks; which worker takes a task may differ from run to
 * run, so a task's result must not depend on its worker (scratch memory apart). */
#ifndef GT_POOL_H
#define GT_POOL_H

#include "status.h"

typedef struct gt_pool gt_pool;

/* How many threads to take where `asked` were asked for: so many, or with 0 the CPUs this process may run on (its
 * affinity mask), at least 1. */
int gt_pool_threads_for(int asked);

/* A pool of `threads` workers, the caller of gt_pool_run being worker 0. 1 <= threads <= 1024.
 * Release with gt_pool_destroy (NULL is fine). GT_ERR_NOMEM, GT_ERR_ARG. */
gt_status gt_pool_create(gt_pool **out, int threads);
void gt_pool_destroy(gt_pool *p);
int gt_pool_threads(const gt_pool *p);

typedef void (*gt_task)(void *context, int task, int worker);

/* Runs task 0 ... tasks-1, each once, and returns when all are done. Not reentrant: a task must not call it.
 * A NULL pool runs them in order on the caller as worker 0. */
void gt_pool_run(gt_pool *p, int tasks, gt_task fn, void *context);

#endif
