#include "report.h"

#include "log.h"
#include "status.h"

#include <stdio.h>

static bool reported;

void gt_report_failure(bool silent, int rank)
{
    if (reported) return;
    reported = true;
    if (silent) return;
    const gt_error *e = gt_error_last();
    if (rank > 0)
        fprintf(stderr, "gemtune [rank %d]: %s\n", rank, e->message);
    else
        fprintf(stderr, "gemtune: %s\n", e->message);
    if (gt_log_on(GT_DEBUG, "error")) fprintf(stderr, "gemtune: at %s:%d\n", e->file, e->line);
}
