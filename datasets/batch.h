/* batch.h - what the model computes on at once: documents laid one behind the other without a single pad token.
 *
 *     ids        [d0 d0 d0 | d1 d1 | d2 d2 d2 d2]      doc_begin = {0, 3, 5, 9}, docs = 3, n = 9
 *     pos         0  1  2    0  1    0  1  2  3        attention never crosses a '|'
 *     target_row     1                 6  7            row 1's logits predict target_id[0] = ids[2], and so on
 *
 * A batch borrows nothing: all its arrays lie in one block that it owns. */
#ifndef GT_BATCH_H
#define GT_BATCH_H

#include "sample.h"
#include "status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int n;              /* tokens, all documents together */
    const int32_t *ids; /* [n] */
    const int32_t *pos; /* [n] position inside the document: restarts at 0 */
    int docs;
    const int32_t *doc_begin;   /* [docs + 1] document d is rows doc_begin[d] ... doc_begin[d+1]-1; the last is n */
    const uint64_t *doc_sample; /* [docs] the document's global sample id (its gt_sample.row), the key of its dropout */
    int targets;                /* supervised tokens; may be 0 when a scoring row has none */
    const int32_t *target_row;  /* [targets] ascending; never a document's last row */
    const int32_t *target_id;   /* [targets] the token that row predicts: ids[row + 1] */
    int longest;                /* tokens of the longest document */
    void *memory;               /* owned: the block under the arrays */
} gt_batch;

/* Lays out `count` samples as documents in the order given. Sample s supervises target ids[p] from row p-1 where
 * label[p] is 1. The samples are only read.
 * GT_ERR_ARG: count < 1, a sample without tokens, or a label at position 0. GT_ERR_DATA: more than 2^31-1 tokens.
 * GT_ERR_NOMEM. */
gt_status gt_batch_build(gt_batch *out, const gt_sample *const *sample, int count);
void gt_batch_free(gt_batch *b); /* NULL and zeroed structs are fine */

#endif
