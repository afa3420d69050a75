/* tokenizer_index.h - from a piece's text to its id, while a tokenizer is being made. For tokenizer_*.c. */
#ifndef GT_TOKENIZER_INDEX_H
#define GT_TOKENIZER_INDEX_H

#include "tokenizer_blob.h"

typedef struct {
    const gt_piece *piece; /* the caller's */
    uint32_t *slot;        /* owned: id, UINT32_MAX: empty */
    uint32_t mask;
} gt_piece_index;

/* Room for `capacity` pieces of the array piece, which the caller fills as it adds. */
gt_status gt_piece_index_create(gt_piece_index *x, const gt_piece *piece, size_t capacity);
void gt_piece_index_free(gt_piece_index *x);

/* Enters piece[id]. GT_ERR_DATA: its text is there already, or the texts were chosen to collide. */
gt_status gt_piece_index_add(gt_piece_index *x, uint32_t id, const char *where);

/* The id, or -1. */
int64_t gt_piece_index_find(const gt_piece_index *x, const char *text, size_t size);

/* The id of the added token of that name, kind being that of each piece (GT_PIECE_...), or -1. */
int32_t gt_piece_index_added(const gt_piece_index *x, const uint8_t *kind, const char *name);

#endif
