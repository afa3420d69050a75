#include "schedule.h"

#include <math.h>

static double given_or(double value, double fallback)
{
    return isnan(value) ? fallback : value;
}

void gt_schedule_of_recipe(gt_schedule *out, const gt_recipe *r, long total_steps)
{
    const gt_recipe_schedule *k = &r->lr_scheduler_kwargs;
    const gt_lr_schedule type = r->lr_scheduler_type;
    const double min_rate = isnan(k->min_lr_rate) ? given_or(k->min_lr, 0) / r->learning_rate : k->min_lr_rate;
    *out = (gt_schedule){.type = type,
                         .learning_rate = r->learning_rate,
                         .warmup_steps = (long)gt_recipe_warmup(r, total_steps),
                         .total_steps = total_steps,
                         .num_cycles = given_or(k->num_cycles, type == GT_LR_COSINE_WITH_RESTARTS ? 1.0 : 0.5),
                         .min_lr_rate = r->learning_rate > 0 ? min_rate : 0,
                         .lr_end = given_or(k->lr_end, 1e-7),
                         .power = given_or(k->power, 1.0),
                         .timescale = given_or(k->timescale, 0)};
}

static double multiplier(const gt_schedule *s, double step)
{
    const double w = (double)s->warmup_steps, total = (double)s->total_steps, pi = 3.14159265358979323846;
    if (s->type == GT_LR_CONSTANT) return 1.0;
    if (step < w) return step / fmax(1.0, w);
    const double progress = (step - w) / fmax(1.0, total - w);
    switch (s->type) {
    case GT_LR_LINEAR:
        return fmax(0.0, (total - step) / fmax(1.0, total - w));
    case GT_LR_COSINE:
        return fmax(0.0, 0.5 * (1.0 + cos(pi * s->num_cycles * 2.0 * progress)));
    case GT_LR_COSINE_WITH_MIN_LR: {
        const double factor = 0.5 * (1.0 + cos(pi * s->num_cycles * 2.0 * progress));
        return fmax(0.0, factor * (1.0 - s->min_lr_rate) + s->min_lr_rate);
    }
    case GT_LR_COSINE_WITH_RESTARTS:
        if (progress >= 1.0) return 0.0;
        return fmax(0.0, 0.5 * (1.0 + cos(pi * fmod(s->num_cycles * progress, 1.0))));
    case GT_LR_INVERSE_SQRT: {
        const double tau = s->timescale > 0 ? s->timescale : w > 0 ? w : 10000.0;
        return 1.0 / sqrt((step + tau - w) / tau);
    }
    case GT_LR_POLYNOMIAL: {
        if (step > total) return s->lr_end / s->learning_rate;
        const double remaining = 1.0 - (step - w) / fmax(1.0, total - w);
        return ((s->learning_rate - s->lr_end) * pow(remaining, s->power) + s->lr_end) / s->learning_rate;
    }
    case GT_LR_CONSTANT:
    case GT_LR_CONSTANT_WITH_WARMUP:
        break;
    }
    return 1.0;
}

double gt_schedule_lr(const gt_schedule *s, long step)
{
    return s->learning_rate * multiplier(s, (double)step);
}
