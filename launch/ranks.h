/* ranks.h - how a command that several ranks run together ends. */
#ifndef GT_RANKS_H
#define GT_RANKS_H

#include "comm.h"
#include "status.h"

/* The end of a command that ranks run together: reports a failure, then releases c. Ranks that agreed on the failure
 * all come here; where one failed alone the others may still wait for it, so it does not wait for them for ever: after
 * five seconds it exits, which makes the launcher end them. Returns st. */
gt_status gt_ranks_end(gt_comm *c, gt_status st);

#endif
