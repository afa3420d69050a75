#include "sample.h"

#include <stdlib.h>
#include <string.h>

void gt_sample_free(gt_sample *s)
{
    if (!s) return;
    free(s->ids);
    free(s->label);
    memset(s, 0, sizeof *s);
}

void gt_samples_free(gt_samples *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->count; i++) gt_sample_free(&s->sample[i]);
    free(s->sample);
    memset(s, 0, sizeof *s);
}
