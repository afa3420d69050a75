/* ckpt_child.h - work on bytes that a library may not survive, done in a child process with limits on memory, processor
 * time and wall time. The HDF5 library crashes or loops on some damaged files; a digest only says that a file is as its
 * writer left it. */
#ifndef GT_CKPT_CHILD_H
#define GT_CKPT_CHILD_H

#include "status.h"

#include <stddef.h>

/* Runs work(context, shared) in a forked child; shared is `bytes` of zeroed memory that both see. The child sees the
 * caller's memory as it was, and what it changes elsewhere is lost. work must not use threads, MPI or locks that
 * another thread may hold. On success *shared_out (free with gt_child_free) holds what work left there. The work's own
 * failure comes back with its words. GT_ERR_DATA: the child crashed or ran over `seconds` (what names the thing it
 * worked on). GT_ERR_INTERRUPTED: a stop was asked. */
gt_status gt_child_run(void **shared_out, size_t bytes, gt_status (*work)(void *context, void *shared), void *context,
                       const char *what, double seconds);
void gt_child_free(void *shared, size_t bytes);

#endif
