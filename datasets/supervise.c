#include "supervise.h"

#include "checked.h"

#include <stdlib.h>
#include <string.h>

gt_status gt_supervise_sample(gt_sample *out, const gt_supervision *s)
{
    size_t n = s->count;
    if (n == 0) return GT_FAIL(GT_ERR_DATA, "the row has no token");
    if (s->max_length > 0 && n > (size_t)s->max_length) n = (size_t)s->max_length;
    if (n > INT32_MAX) return GT_FAIL(GT_ERR_DATA, "%zu tokens in one row; at most %d", n, INT32_MAX);
    gt_sample made = {.n = (int)n, .truncated = n < s->count, .prompt_tokens = (int)gt_min_size(s->prompt_tokens, n)};
    made.ids = malloc(n * sizeof *made.ids);
    made.label = calloc(n, 1);
    if (!made.ids || !made.label) {
        gt_sample_free(&made);
        return GT_FAIL(GT_ERR_NOMEM, "no memory for a row of %zu tokens", n);
    }
    memcpy(made.ids, s->id, n * sizeof *made.ids);
    for (size_t i = 0; i < s->spans; i++)
        for (size_t p = gt_max_size(s->span[i].begin, 1); p < gt_min_size(s->span[i].end, n); p++) made.label[p] = 1;
    for (size_t p = 0; p < n; p++) made.supervised += made.label[p];
    *out = made;
    return GT_OK;
}

gt_status gt_supervise_check_bos(const int32_t *id, size_t count, int32_t bos)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) found += id[i] == bos;
    if (found == 1) return GT_OK;
    return GT_FAIL(GT_ERR_DATA, "<bos> (id %d) appears %zu times in the row's tokens; expected exactly once", bos,
                   found);
}
