/* log.h - level x subsystem, to standard error. Rank 0 speaks for all; other ranks speak from GT_WARN up.
 * GT_LOG=info,dist:trace in the environment opens one subsystem. Values are key=value, so that a log is data too. */
#ifndef GT_LOG_H
#define GT_LOG_H

typedef enum { GT_TRACE, GT_DEBUG, GT_INFO, GT_WARN, GT_ERROR } gt_log_level;

/* Reads GT_LOG. rank < 0: not a multi-rank run (no prefix). Call again once the rank is known. */
void gt_log_init(int rank);

/* Whether a message of that level and subsystem would be written. */
int gt_log_on(gt_log_level level, const char *subsystem);

/* One line, written in one write(2). Thread-safe. */
void gt_log(gt_log_level level, const char *subsystem, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
