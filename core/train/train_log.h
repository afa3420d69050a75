/* train_log.h - what a training run tells: one progress line, metrics.jsonl, TensorBoard events. Rank 0 writes, the
 * others keep still; every call is fine on every rank. */
#ifndef GT_TRAIN_LOG_H
#define GT_TRAIN_LOG_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct gt_train_log gt_train_log;

/* resumed_step: lines of later steps in metrics.jsonl are dropped; -1 for a fresh run. */
gt_status gt_train_log_open(gt_train_log **out, const char *output_dir, int rank, int ranks, bool tensorboard,
                            int64_t resumed_step, int64_t total_steps);
void gt_train_log_close(gt_train_log *l); /* NULL is fine */

/* While a window is worked on: this rank's micro-batches done of its own, left: those it will do until the run's end;
 * tokens and flops of this one. */
void gt_train_log_micro(gt_train_log *l, int64_t step, int done, int mine, double left, int64_t tokens, double flops,
                        double seconds);

typedef struct {
    int64_t step;
    double epoch, loss, grad_norm, learning_rate, accuracy;
    int64_t tokens, tokens_seen; /* of the step, and since the run began */
    double seconds, flops;       /* of the step, all ranks */
} gt_train_step_log;
/* Every step moves the progress line; `write` (logging_steps) also adds a metrics line. */
gt_status gt_train_log_step(gt_train_log *l, const gt_train_step_log *s, bool write);

/* A line of an evaluation; accuracy NAN: no row has choices. GT_ERR_IO. */
gt_status gt_train_log_eval(gt_train_log *l, int64_t step, double epoch, double loss, double accuracy, int64_t choices,
                            double seconds);

/* The last line: as Trainer's train_runtime, train_loss ... */
gt_status gt_train_log_end(gt_train_log *l, int64_t step, double epoch, double seconds, int64_t tokens);

#endif
