/* signals.h - what the outside asked of this process, as flags that work code polls. Async-signal-safe inside. */
#ifndef GT_SIGNALS_H
#define GT_SIGNALS_H

#include "status.h"

#include <stdbool.h>

/* SIGUSR1 asks to save at the next step boundary and leave with 0; SIGTERM, SIGINT and SIGHUP ask to drop the work in
 * flight and leave at once. A second SIGINT kills the process the default way. SIGPIPE is ignored. Once a process. */
gt_status gt_signals_install(void);

bool gt_signals_save_asked(void); /* SIGUSR1 has come */
int gt_signals_stop_asked(void);  /* the signal's number, or 0 */

/* GT_OK, or GT_ERR_INTERRUPTED once a stop was asked: work code calls it between layers and tiles. */
gt_status gt_signals_check(void);

#endif
