/* progress.h - what is going on, on standard error: one line that is drawn over on a terminal, plain lines when piped.
 * Only rank 0 draws (log.h decides). Not thread-safe: the thread that draws is one.
 *
 *   quantizing  41 %  112 / 270 MB  31 MB/s  5 s left
 *   step 3/20  micro 5/8  loss 2.314  lr 1.8e-04  grad 0.83  612 tokens/s  0.41 TFLOP/s  0.92 GiB  3 min left */
#ifndef GT_PROGRESS_H
#define GT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One long piece of work of known size; shows nothing in its first two seconds. */

typedef struct {
    const char *what;    /* "quantizing" */
    const char *unit;    /* "rows"; NULL: bytes */
    uint64_t total;      /* 0: not known */
    double began, shown; /* seconds; private */
    bool drawn;          /* private */
} gt_progress;

void gt_progress_begin(gt_progress *p, const char *what, uint64_t total, const char *unit);
void gt_progress_at(gt_progress *p,
                    uint64_t done);   /* cheap: draws five times a second, once in ten seconds when piped */
void gt_progress_end(gt_progress *p); /* ends the line if one was drawn */

/* Training. */

typedef struct {
    int64_t step, steps;   /* optimizer steps done or in work, of all */
    int64_t micro, micros; /* micro-batches of this step done, of all; micro == micros: the step is done */
    double loss, learning_rate, grad_norm;      /* of the latest finished step; NAN: none yet */
    double tokens_per_second, flops_per_second; /* all ranks together; 0: not known */
    double seconds_left;                        /* negative: not known */
    size_t memory; /* bytes, sum of Pss of this node's ranks or what is known of it; 0: not known */
} gt_train_line;

typedef struct {
    double shown;
    int64_t shown_step; /* the latest step whose plain line was written */
    bool drawn;
} gt_train_progress; /* zero it to begin */

/* Draws the line. On a terminal at most ten times a second; when piped a finished step at most once a second (the first
 * and the last always), and an unfinished one once in 30 seconds. */
void gt_train_progress_show(gt_train_progress *p, const gt_train_line *line);

/* Ends the drawn line, so that other text can follow. */
void gt_train_progress_end(gt_train_progress *p);

/* The line's text without an end, at most size bytes: shown by tests and by logs. */
void gt_train_line_text(char *out, size_t size, const gt_train_line *line);

/* "3 min", "41 s", "2 h 05 min"; out holds 32 bytes. */
void gt_duration_text(char out[32], double seconds);

#endif
