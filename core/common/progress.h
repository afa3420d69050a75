/* progress.h - how far a long piece of work is, on standard error: one line that is drawn over on a terminal, plain
 * lines when piped. Only rank 0 draws (log.h decides). Not thread-safe: the thread that draws is one.
 *
 *   scoring  41 %  112 / 270 rows  31 rows/s  5 s left */
#ifndef GT_PROGRESS_H
#define GT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One piece of work of known size; shows nothing in its first two seconds. */
typedef struct {
    const char *what;    /* "scoring" */
    const char *unit;    /* "rows" */
    uint64_t total;      /* above 0 */
    double began, shown; /* gt_clock(); private */
    bool drawn;          /* private */
} gt_progress;

void gt_progress_begin(gt_progress *p, const char *what, uint64_t total, const char *unit);

/* Cheap: draws five times a second, once in ten seconds when piped. */
void gt_progress_at(gt_progress *p, uint64_t done);

/* Ends the line if one was drawn. */
void gt_progress_end(gt_progress *p);

/* The line's text after `spent` seconds, without an end, at most size bytes. */
void gt_progress_text(char *out, size_t size, const gt_progress *p, uint64_t done, double spent);

/* For other lines of this kind. draw: over the one before, cut to the terminal's width; a line of its own when
 * piped. */
bool gt_progress_on_terminal(void);
void gt_progress_draw(const char *text);

/* Writes bytes as they are: what ends a drawn line. */
void gt_progress_put(const char *bytes);

/* "3 min", "41 s", "2 h 05 min"; out holds 32 bytes. */
void gt_duration_text(char out[32], double seconds);

#endif
