/* clock.h - how long things take. Nothing that is computed may depend on it. */
#ifndef GT_CLOCK_H
#define GT_CLOCK_H

/* Seconds from a fixed moment, never backwards: wall time may step, this does not. Only differences mean anything. */
double gt_clock(void);

/* Seconds since this process was started, the loading of the program included; NAN where the system does not say. */
double gt_process_age(void);

#endif
