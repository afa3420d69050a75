/* backends.h - every backend this build has: the one place that names them all. */
#ifndef GT_BACKENDS_H
#define GT_BACKENDS_H

/* Offers them to gt_kernels_get (table.h). Once, first thing in a program. */
void gt_backends_offer(void);

#endif
