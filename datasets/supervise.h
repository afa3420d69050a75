/* supervise.h - which tokens of a row its loss is taken over, and the row as a sample: labels first, then cut to
 * max_length from the start, as TRL does it. */
#ifndef GT_SUPERVISE_H
#define GT_SUPERVISE_H

#include "sample.h"
#include "status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t begin, end; /* tokens [begin, end) */
} gt_token_span;

typedef struct {
    const int32_t *id; /* [count] */
    size_t count;
    const gt_token_span *span; /* [spans] supervised tokens; token 0 never is: nothing predicts it */
    size_t spans;
    size_t prompt_tokens; /* where the (last) answer begins; 0: plain text */
    int max_length;       /* 0: no limit */
} gt_supervision;

/* Makes a sample: ids, labels, supervised, prompt_tokens and truncated are set, the rest is zero. Owned by the caller
 * (gt_sample_free). GT_ERR_DATA: no token at all, or more than INT32_MAX. GT_ERR_NOMEM. */
gt_status gt_supervise_sample(gt_sample *out, const gt_supervision *s);

/* GT_ERR_DATA unless bos appears exactly once: none and two are both a sign of text encoded in the wrong way. */
gt_status gt_supervise_check_bos(const int32_t *id, size_t count, int32_t bos);

#endif
