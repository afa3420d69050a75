/* train_line.h - the line that says where a training run is (progress.h draws it):
 *
 *   step 3/20  micro 5/8  loss 2.314  lr 1.8e-04  grad 0.83  612 tokens/s  0.41 TFLOP/s  0.92 GiB  3 min left */
#ifndef GT_TRAIN_LINE_H
#define GT_TRAIN_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
