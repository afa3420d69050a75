/* score.h - what a model thinks of given rows: log-likelihoods, best tokens, logits. */
#ifndef GT_SCORE_H
#define GT_SCORE_H

#include "forward.h"
#include "sampler.h"
#include "text.h"

typedef struct {
    gt_model *m; /* borrowed */
    gt_arena arena;
    gt_pass pass;
    double *nll;           /* [max_tokens] */
    int32_t *greedy;       /* [max_tokens] */
    float *logits;         /* [rows of a piece, V]; only when wanted */
    gt_candidate *scratch; /* [V] */
    gt_candidate *best;    /* [top] */
    int top;
} gt_scorer;

/* max_tokens: the longest row, at most what m was made for. top: best tokens to report at each supervised position (0:
 * none). all_logits: gt_score_logits will be called. */
gt_status gt_scorer_create(gt_scorer *s, gt_model *m, int max_tokens, int top, bool all_logits);
void gt_scorer_destroy(gt_scorer *s); /* zeroed structs are fine */

/* Computes one row and appends one JSON object (no newline) to line:
 *   {"row":N,"tokens":n,"nll":[...],"sum":x,"greedy":[true,...],"top":[[[id,logit],...],...]}
 * nll, greedy, top: one entry a supervised token, in order. */
gt_status gt_score_row(gt_scorer *s, const gt_sample *sample, gt_text *line);

/* Logits of the row just scored, all positions in order, handed over in pieces [rows, V] f32. */
typedef gt_status (*gt_logit_sink)(void *context, const float *logits, int rows);
gt_status gt_score_logits(gt_scorer *s, const gt_sample *sample, gt_logit_sink sink, void *context);

#endif
