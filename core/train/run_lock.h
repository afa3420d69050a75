/* run_lock.h - one run a folder. The lock is a flock on `run.lock`, so it ends with its process however that ends; the
 * text inside (pid, host, job) is for the message and for file systems whose locks do not reach other machines. */
#ifndef GT_RUN_LOCK_H
#define GT_RUN_LOCK_H

#include "status.h"

#define GT_RUN_LOCK_NAME "run.lock"

typedef struct gt_run_lock gt_run_lock;

/* Takes the lock of an existing folder, for one process (rank 0). A lock whose holder is gone is taken over.
 * GT_ERR_CONFIG: held; says by which pid, host and job. GT_ERR_IO: the folder cannot be written. */
gt_status gt_run_lock_take(gt_run_lock **out, const char *folder);
void gt_run_lock_release(gt_run_lock *l); /* the file stays; NULL is fine */

/* Releases, and removes the lock's file: for a folder that is to go. */
void gt_run_lock_discard(gt_run_lock *l);

#endif
