/* schedule.h - the learning rate of an optimizer step (spec/lora.md section 11; transformers' get_scheduler). */
#ifndef GT_SCHEDULE_H
#define GT_SCHEDULE_H

#include "status.h"

typedef enum {
    GT_SCHEDULE_LINEAR,
    GT_SCHEDULE_COSINE,
    GT_SCHEDULE_COSINE_WITH_MIN_LR,
    GT_SCHEDULE_COSINE_WITH_RESTARTS,
    GT_SCHEDULE_CONSTANT,
    GT_SCHEDULE_CONSTANT_WITH_WARMUP,
    GT_SCHEDULE_INVERSE_SQRT,
    GT_SCHEDULE_POLYNOMIAL
} gt_schedule_type;

typedef struct {
    gt_schedule_type type;
    double learning_rate;
    long warmup_steps, total_steps;
    double num_cycles;  /* cosine: 0.5; cosine_with_restarts: 1 */
    double min_lr_rate; /* cosine_with_min_lr: least multiplier */
    double lr_end, power; /* polynomial: 1e-7, 1 */
    double timescale;   /* inverse_sqrt: 0 for its default (warm-up steps, or 10000 without) */
} gt_schedule;

/* "linear", "cosine", ... as HF spells them -> type; GT_ERR_CONFIG lists the names. */
gt_status gt_schedule_parse(gt_schedule_type *out, const char *name);

/* The learning rate of the update made after `step` updates (the first uses step 0). */
double gt_schedule_lr(const gt_schedule *s, long step);

#endif
