/* run_folder.h - a run's output folder: taken by one run, cleaned of what killed runs left, and left again. */
#ifndef GT_RUN_FOLDER_H
#define GT_RUN_FOLDER_H

#include "status.h"

typedef struct gt_run_folder gt_run_folder;

/* Makes the folder where there is none, takes its lock (run_lock.h) and removes unfinished temporaries of the names
 * that a run gives. One process (rank 0). As gt_run_lock_take; GT_ERR_IO besides. On failure nothing new is left. */
gt_status gt_run_folder_take(gt_run_folder **out, const char *path);

/* Gives the lock back. Folders that take made go again when nothing but the lock came into them: a run that is refused
 * leaves no trace. NULL is fine. */
void gt_run_folder_leave(gt_run_folder *f);

/* The name of something in a folder besides the lock, malloc'ed; NULL: there is nothing, or no such folder. */
char *gt_run_folder_holds(const char *path);

#endif
