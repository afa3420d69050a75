/* run_folder.h - a run's output folder: taken by one run, cleaned of what killed runs left, marked when the run is
 * finished, and left again. */
#ifndef GT_RUN_FOLDER_H
#define GT_RUN_FOLDER_H

#include "status.h"

#include <stdint.h>

typedef struct gt_run_folder gt_run_folder;

/* Makes the folder where there is none, takes its lock (run_lock.h) and removes unfinished temporaries of the names
 * that a run gives. One process (rank 0). As gt_run_lock_take; GT_ERR_IO besides. On failure nothing new is left. */
gt_status gt_run_folder_take(gt_run_folder **out, const char *path);

/* Gives the lock back. Folders that take made go again when nothing but the lock came into them: a run that is refused
 * leaves no trace. NULL is fine. */
void gt_run_folder_leave(gt_run_folder *f);

/* The name of something in a folder besides the lock, malloc'ed; NULL: there is nothing, or no such folder. */
char *gt_run_folder_holds(const char *path);

/* The done marker `done.json`: a run that has one is finished, and nothing else says so (exit codes of launchers lie).
 * Written last, whole or not at all. steps: optimizer steps done. read: *steps = -1 when there is no marker;
 * GT_ERR_DATA when it is damaged. clear: for a run that goes on after all; no marker is fine. */
gt_status gt_run_done_write(const char *folder, int64_t steps);
gt_status gt_run_done_read(const char *folder, int64_t *steps);
gt_status gt_run_done_clear(const char *folder);

#endif
