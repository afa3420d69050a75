#include "schedule.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {"linear", "cosine", "cosine_with_min_lr", "cosine_with_restarts", "constant",
                                    "constant_with_warmup", "inverse_sqrt", "polynomial"};

gt_status gt_schedule_parse(gt_schedule_type *out, const char *name)
{
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (gt_schedule_type)i;
            return GT_OK;
        }
    }
    return GT_FAIL(GT_ERR_CONFIG,
                   "lr_scheduler_type '%s'; expected linear, cosine, cosine_with_min_lr, cosine_with_restarts, constant, "
                   "constant_with_warmup, inverse_sqrt or polynomial",
                   name);
}

static double multiplier(const gt_schedule *s, double step)
{
    const double w = (double)s->warmup_steps, total = (double)s->total_steps, pi = 3.14159265358979323846;
    if (s->type == GT_SCHEDULE_CONSTANT) return 1.0;
    if (step < w) return step / fmax(1.0, w);
    const double progress = (step - w) / fmax(1.0, total - w);
    switch (s->type) {
    case GT_SCHEDULE_LINEAR: return fmax(0.0, (total - step) / fmax(1.0, total - w));
    case GT_SCHEDULE_COSINE: return fmax(0.0, 0.5 * (1.0 + cos(pi * s->num_cycles * 2.0 * progress)));
    case GT_SCHEDULE_COSINE_WITH_MIN_LR: {
        const double factor = 0.5 * (1.0 + cos(pi * s->num_cycles * 2.0 * progress));
        return fmax(0.0, factor * (1.0 - s->min_lr_rate) + s->min_lr_rate);
    }
    case GT_SCHEDULE_COSINE_WITH_RESTARTS:
        if (progress >= 1.0) return 0.0;
        return fmax(0.0, 0.5 * (1.0 + cos(pi * fmod(s->num_cycles * progress, 1.0))));
    case GT_SCHEDULE_INVERSE_SQRT: {
        const double tau = s->timescale > 0 ? s->timescale : w > 0 ? w : 10000.0;
        return 1.0 / sqrt((step + tau - w) / tau);
    }
    case GT_SCHEDULE_POLYNOMIAL: {
        if (step > total) return s->lr_end / s->learning_rate;
        const double remaining = 1.0 - (step - w) / fmax(1.0, total - w);
        return ((s->learning_rate - s->lr_end) * pow(remaining, s->power) + s->lr_end) / s->learning_rate;
    }
    case GT_SCHEDULE_CONSTANT:
    case GT_SCHEDULE_CONSTANT_WITH_WARMUP: break;
    }
    return 1.0;
}

double gt_schedule_lr(const gt_schedule *s, long step) { return s->learning_rate * multiplier(s, (double)step); }
