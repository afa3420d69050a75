/* comm_fillings.h - how the fillings of gt_comm are made. Only comm.c chooses among them. */
#ifndef GT_COMM_FILLINGS_H
#define GT_COMM_FILLINGS_H

#include "comm.h"

/* Initializes MPI (MPI_THREAD_FUNNELED: only the thread that created it may use it), errors returned. Collective over
 * the launcher's processes. At most once a process. GT_ERR_LOST: MPI refuses; its words are in the message. */
gt_status gt_comm_mpi_create(gt_comm **out, double timeout_seconds);

#endif
