/* metrics.h - the record of a run: `metrics.jsonl` in its folder, one JSON object a line with the Trainer's names, and,
 * if wanted, the same numbers as TensorBoard event files in `runs/`. For one process (rank 0).
 *
 *   {"step":10,"epoch":0.4,"loss":2.31,"grad_norm":0.8,"learning_rate":0.0002,"num_tokens":20480}
 *   {"step":10,"epoch":0.4,"eval_loss":2.28,"eval_accuracy":0.45}
 *
 * Tags of event files are the Trainer's: eval_loss becomes eval/loss, everything else train/NAME. */
#ifndef GT_METRICS_H
#define GT_METRICS_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct gt_metrics gt_metrics;

typedef struct {
    const char *name; /* [A-Za-z0-9_]+ */
    double value;     /* not finite: null in metrics.jsonl */
} gt_metric;

/* Opens the record of a run in an existing folder. resumed_step: optimizer steps that the state in hand has done; lines
 * of later steps are dropped (they will be made again), and so is a line that a crash cut off. -1, a run that begins:
 * all are dropped. tensorboard: write event files too. GT_ERR_IO. */
gt_status gt_metrics_open(gt_metrics **out, const char *folder, int64_t resumed_step, bool tensorboard);

/* Appends one line and waits until it is on the disk. count <= 32. GT_ERR_IO: nothing, or a cut-off line that the next
 * open drops, was written; the run may go on. Event files that cannot be written end there, with a warning. */
gt_status gt_metrics_write(gt_metrics *m, int64_t step, double epoch, const gt_metric *metric, int count);

void gt_metrics_close(gt_metrics *m); /* NULL is fine */

#endif
