/* sampler.h - the next token from logits: greedy, or temperature, then top-k, then top-p, then a draw (the order of
 * transformers' logits warpers). */
#ifndef GT_SAMPLER_H
#define GT_SAMPLER_H

#include <stdint.h>

typedef struct {
    double temperature; /* 0: greedy */
    int top_k;          /* 0: all */
    double top_p;       /* 1: all */
    uint64_t seed;      /* draw number `step` is a function of (seed, step): equal seeds give equal texts */
} gt_sampling;

/* One candidate while sampling. */
typedef struct {
    float logit;
    int32_t id;
} gt_candidate;

/* logits [vocab] f32; scratch [vocab] the caller's (unused when greedy). The lowest id wins ties. */
int32_t gt_sample_token(const gt_sampling *s, const float *logits, int vocab, uint64_t step, gt_candidate *scratch);

/* The k best (highest logit, lowest id on ties) in order into out[k]; scratch [vocab]. k <= vocab. */
void gt_top_candidates(gt_candidate *out, int k, const float *logits, int vocab, gt_candidate *scratch);

#endif
