/* schedule.h - the learning rate of an optimizer step (docs/model/lora.md section 11; transformers' get_scheduler). */
#ifndef GT_SCHEDULE_H
#define GT_SCHEDULE_H

#include "recipe.h"

typedef struct {
    gt_lr_schedule type;
    double learning_rate;
    long warmup_steps, total_steps;
    double num_cycles;    /* cosine: 0.5; cosine_with_restarts: 1 */
    double min_lr_rate;   /* cosine_with_min_lr: least multiplier */
    double lr_end, power; /* polynomial: 1e-7, 1 */
    double timescale;     /* inverse_sqrt: 0 for its default (warm-up steps, or 10000 without) */
} gt_schedule;

/* The schedule a recipe asks for over total_steps optimizer steps. */
void gt_schedule_of_recipe(gt_schedule *out, const gt_recipe *r, long total_steps);

/* The learning rate of the update made after `step` updates (the first uses step 0). */
double gt_schedule_lr(const gt_schedule *s, long step);

#endif
