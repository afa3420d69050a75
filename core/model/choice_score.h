/* choice_score.h - which of its letters a model would answer a multiple-choice row with: the candidate letter whose
 * logit is greatest at the position that predicts the answer's first token.
 *
 * A row shows its choices as lines "A. ...", "B. ..." and is answered by such a line (datasets/choice.h), so this one
 * position decides; it is what benchmarks of this kind score (Hendrycks et al. 2021, arXiv:2009.03300, compare the
 * letters' probabilities too). Letters are compared with each other alone: a model that would begin with other words
 * has an answer all the same, and one choice's text being longer than another's weighs nothing. It costs one product
 * with the letters' rows of the head behind a forward pass that is made anyway. */
#ifndef GT_CHOICE_SCORE_H
#define GT_CHOICE_SCORE_H

#include "choice.h"
#include "forward.h"
#include "tokenizer.h"

typedef struct {
    gt_model *model;           /* borrowed */
    int32_t id[GT_CHOICE_MAX]; /* token of "A" ...; -1: not one token */
    void *head;                /* [GT_CHOICE_MAX, H] act: the letters' rows of the head, owned; zero where id is -1 */
} gt_choice_scorer;

/* t NULL (rows of ids, and a model without a tokenizer): no letter is known, and no row has an answer. *s is released
 * by gt_choice_scorer_destroy, also on failure. GT_ERR_NOMEM. */
gt_status gt_choice_scorer_create(gt_choice_scorer *s, gt_model *m, const gt_tokenizer *t);
void gt_choice_scorer_destroy(gt_choice_scorer *s); /* zeroed structs are fine */

/* The answer to document `doc` of a batch that gt_forward has just run through p without targets_only; sample: the one
 * that the document was made of. *choice: 0 for A ...; -1: nothing to compare, because the row has no choices or its
 * right answer does not begin with its letter as one token. A letter that is not one token is never chosen. */
gt_status gt_choice_score(const gt_choice_scorer *s, gt_pass *p, const gt_batch *b, int doc, const gt_sample *sample,
                          int *choice);

#endif
