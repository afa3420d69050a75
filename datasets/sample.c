#include "sample.h"

#include <stdlib.h>
#include <string.h>

void gt_samples_free(gt_samples *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->count; i++) {
        free(s->sample[i].ids);
        free(s->sample[i].label);
    }
    free(s->sample);
    memset(s, 0, sizeof *s);
}
