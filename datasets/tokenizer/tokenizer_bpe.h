/* tokenizer_bpe.h - joining the symbols of one stretch of text by merge rank. For tokenizer_encode.c. */
#ifndef GT_TOKENIZER_BPE_H
#define GT_TOKENIZER_BPE_H

#include "tokenizer_blob.h"

typedef struct {
    uint32_t id;
    uint32_t begin;      /* byte of the text */
    uint32_t prev, next; /* neighbours by index, UINT32_MAX: none */
    uint32_t rank;       /* of the merge with the next one, UINT32_MAX: none, or this symbol is gone */
} gt_symbol;

/* Symbols of one stretch, and the room to merge them; zeroed to begin with, used again for the next stretch. */
typedef struct {
    gt_symbol *symbol; /* [count] owned */
    size_t count, capacity;
    uint64_t *heap; /* owned: rank << 32 | index of the left symbol */
    size_t heap_count, heap_capacity;
} gt_bpe;

void gt_bpe_free(gt_bpe *b);

/* Appends a symbol. GT_ERR_NOMEM. */
gt_status gt_bpe_push(gt_bpe *b, uint32_t id, uint32_t begin);

/* Joins the adjacent pair of lowest rank, leftmost on ties, until no pair is in the merge table; appends the ids that
 * remain and empties b. count log count steps. GT_ERR_NOMEM. */
gt_status gt_bpe_finish(gt_bpe *b, const gt_tokenizer *t, gt_ids *ids);

#endif
