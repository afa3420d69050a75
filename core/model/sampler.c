#include "sampler.h"

#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int better(gt_candidate a, gt_candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static int by_rank(const void *a, const void *b)
{
    gt_candidate x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return better(x, y) ? -1 : better(y, x);
}

void gt_top_candidates(gt_candidate *out, int k, const float *logits, int vocab, gt_candidate *scratch)
{
    if (k <= 0) return;
    if (k > 256) { /* many: sort all */
        for (int i = 0; i < vocab; i++) scratch[i] = (gt_candidate){logits[i], i};
        qsort(scratch, (size_t)vocab, sizeof *scratch, by_rank);
        memcpy(out, scratch, (size_t)k * sizeof *out);
        return;
    }
    int n = 0; /* few: insertion into a sorted list; ids ascend, so equals stay behind */
    for (int i = 0; i < vocab; i++) {
        const gt_candidate c = {logits[i], i};
        if (n == k && !better(c, out[n - 1])) continue;
        int at = n < k ? n++ : n - 1;
        for (; at > 0 && better(c, out[at - 1]); at--) out[at] = out[at - 1];
        out[at] = c;
    }
}

int32_t gt_sample_token(const gt_sampling *s, const float *logits, int vocab, uint64_t step, gt_candidate *scratch)
{
    gt_candidate best = {0};
    if (s->temperature <= 0) {
        gt_top_candidates(&best, 1, logits, vocab, scratch);
        return best.id;
    }
    const int k = s->top_k > 0 && s->top_k < vocab ? s->top_k : vocab;
    gt_candidate *c = scratch;
    if (k <= 256)
        gt_top_candidates(c, k, logits, vocab, NULL);
    else {
        for (int i = 0; i < vocab; i++) c[i] = (gt_candidate){logits[i], i};
        qsort(c, (size_t)vocab, sizeof *c, by_rank);
    }
    double total = 0;
    for (int i = 0; i < k; i++) total += exp(((double)c[i].logit - c[0].logit) / s->temperature);
    int kept = 0; /* the shortest head of the list whose mass reaches top_p; at least one */
    double mass = 0;
    while (kept < k && (kept == 0 || mass < s->top_p * total))
        mass += exp(((double)c[kept++].logit - c[0].logit) / s->temperature);
    double draw = gt_rng_uniform(gt_rng_key(s->seed, 0x5a3f1e), step) * mass;
    for (int i = 0; i < kept; i++) {
        draw -= exp(((double)c[i].logit - c[0].logit) / s->temperature);
        if (draw < 0) return c[i].id;
    }
    return c[kept - 1].id;
}
