/* pack.h - samples laid together into bins of a fixed number of tokens: best-fit decreasing, whole samples, their
 * borders kept (attention and positions stay inside a document, see batch.h). Arithmetic only; the same input gives the
 * same bins everywhere. */
#ifndef GT_PACK_H
#define GT_PACK_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t count;   /* bins */
    int64_t *begin;  /* [count + 1] owned: bin b holds member[begin[b]] ... member[begin[b+1]-1] */
    int64_t *member; /* [items] owned: item numbers; ascending inside a bin, bins ascending by their first */
    int most;        /* members of the fullest bin */
} gt_packing;

/* Longest items first (equal ones in order), each into the bin with the least room that still takes it, else a new one.
 * length [items], each 1 ... capacity. GT_ERR_ARG: a length out of range. GT_ERR_NOMEM. */
gt_status gt_pack(gt_packing *out, const int *length, int64_t items, int capacity);
void gt_packing_free(gt_packing *p); /* NULL and zeroed structs are fine */

#endif
