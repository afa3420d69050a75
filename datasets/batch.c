#include "batch.h"

#include "checked.h"

#include <stdlib.h>
#include <string.h>

static gt_status measure(const gt_sample *const *sample, int count, gt_batch *b)
{
    int64_t tokens = 0, targets = 0;
    for (int d = 0; d < count; d++) {
        const gt_sample *s = sample[d];
        if (s->n < 1) return GT_FAIL(GT_ERR_ARG, "document %d of a batch has %d tokens; expected at least 1", d, s->n);
        if (s->label[0])
            return GT_FAIL(GT_ERR_ARG, "document %d of a batch supervises its first token, which nothing predicts", d);
        for (int p = 1; p < s->n; p++) targets += s->label[p] != 0;
        tokens += s->n;
        b->longest = gt_max_int(b->longest, s->n);
        if (tokens > INT32_MAX)
            return GT_FAIL(GT_ERR_DATA,
                           "a batch of more than %d tokens; lower per_device_train_batch_size or max_length",
                           INT32_MAX);
    }
    b->n = (int)tokens;
    b->targets = (int)targets;
    b->docs = count;
    return GT_OK;
}

gt_status gt_batch_build(gt_batch *out, const gt_sample *const *sample, int count)
{
    if (count < 1) return GT_FAIL(GT_ERR_ARG, "a batch of %d documents; expected at least 1", count);
    gt_batch b = {0};
    GT_TRY(measure(sample, count, &b));
    /* 64-bit ids first, so that everything is aligned */
    const size_t words = 2 * (size_t)b.n + 2 * (size_t)b.targets + (size_t)count + 1;
    uint64_t *doc_sample = malloc((size_t)count * sizeof *doc_sample + words * sizeof(int32_t));
    if (!doc_sample) return GT_FAIL(GT_ERR_NOMEM, "no memory for a batch of %d tokens", b.n);
    int32_t *ids = (int32_t *)(doc_sample + count), *pos = ids + b.n, *begin = pos + b.n;
    int32_t *target_row = begin + count + 1, *target_id = target_row + b.targets;
    int at = 0, targets = 0;
    for (int d = 0; d < count; d++) {
        const gt_sample *s = sample[d];
        begin[d] = at;
        doc_sample[d] = s->row;
        memcpy(ids + at, s->ids, (size_t)s->n * sizeof *ids);
        for (int p = 0; p < s->n; p++) pos[at + p] = p;
        for (int p = 1; p < s->n; p++) {
            if (!s->label[p]) continue;
            target_row[targets] = at + p - 1;
            target_id[targets++] = s->ids[p];
        }
        at += s->n;
    }
    begin[count] = at;
    b.ids = ids;
    b.pos = pos;
    b.doc_begin = begin;
    b.doc_sample = doc_sample;
    b.target_row = target_row;
    b.target_id = target_id;
    b.memory = doc_sample;
    *out = b;
    return GT_OK;
}

void gt_batch_free(gt_batch *b)
{
    if (!b) return;
    free(b->memory);
    memset(b, 0, sizeof *b);
}
