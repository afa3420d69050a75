/* report.h - the failure that ends a command, said once on standard error. */
#ifndef GT_REPORT_H
#define GT_REPORT_H

#include <stdbool.h>

/* Says the latest failure, the first time it is called. silent: another rank says it. rank < 0: not one of several. */
void gt_report_failure(bool silent, int rank);

#endif
