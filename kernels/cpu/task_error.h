/* task_error.h - the first failure among the tasks of one gt_pool_run, carried to the thread that called it. */
#ifndef GT_TASK_ERROR_H
#define GT_TASK_ERROR_H

#include "status.h"

#include <pthread.h>

typedef struct {
    pthread_mutex_t lock;
    gt_error error; /* code GT_OK: none so far */
} gt_task_error;

#define GT_TASK_ERROR_INIT                                                                                             \
    {                                                                                                                  \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                                              \
    }

/* Called by a task: keeps the record of the calling thread's latest failure if st is one and the first. */
static inline void gt_task_note(gt_task_error *e, gt_status st)
{
    if (st == GT_OK) return;
    pthread_mutex_lock(&e->lock);
    if (e->error.code == GT_OK) e->error = *gt_error_last();
    pthread_mutex_unlock(&e->lock);
}

/* Called after the run: GT_OK, or the kept failure as the calling thread's own. */
static inline gt_status gt_task_result(gt_task_error *e)
{
    if (e->error.code == GT_OK) return GT_OK;
    return gt_error_restore(&e->error, e->error.code);
}

#endif
