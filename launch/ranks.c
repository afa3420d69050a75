#include "ranks.h"

#include "report.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t leave_with;
static gt_comm *volatile left; /* given up with the process */

static void leave(int number)
{
    (void)number;
    _exit(leave_with);
}

gt_status gt_ranks_end(gt_comm *c, gt_status st)
{
    if (st == GT_OK) {
        gt_comm_destroy(c);
        return GT_OK;
    }
    gt_report_failure(gt_error_last()->elsewhere, c->size > 1 ? c->rank : -1);
    if (st == GT_ERR_INTERRUPTED && c->size > 1) { /* no time for anybody else; main leaves with the signal's code */
        left = c;
        return st;
    }
    if (st == GT_ERR_LOST) gt_comm_abort(c, gt_status_exit_code(st)); /* nothing else reaches ranks that wait */
    leave_with = gt_status_exit_code(st);
    signal(SIGALRM, leave);
    alarm(5);
    gt_comm_destroy(c);
    alarm(0);
    return st;
}
