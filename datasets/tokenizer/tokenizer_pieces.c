/* Questions about pieces. An id outside the vocabulary is no mistake of the caller's (an embedding may have more rows
 * than the vocabulary has pieces): it has no text and is nothing special. */
#include "tokenizer_blob.h"

#include <string.h>

int32_t gt_tokenizer_size(const gt_tokenizer *t)
{
    return (int32_t)t->head->pieces;
}

static bool inside(const gt_tokenizer *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->head->pieces;
}

const char *gt_tokenizer_piece(const gt_tokenizer *t, int32_t id, size_t *size)
{
    *size = 0;
    if (!inside(t, id)) return NULL;
    *size = t->piece_at[id + 1] - t->piece_at[id];
    return t->text + t->piece_at[id];
}

bool gt_tokenizer_is_special(const gt_tokenizer *t, int32_t id)
{
    return inside(t, id) && (t->kind[id] & GT_PIECE_SPECIAL);
}

bool gt_tokenizer_is_control(const gt_tokenizer *t, int32_t id)
{
    return inside(t, id) && (t->kind[id] & GT_PIECE_CONTROL);
}

int gt_tokenizer_byte_of(const gt_tokenizer *t, int32_t id)
{
    if (!inside(t, id) || !(t->kind[id] & GT_PIECE_BYTE)) return -1;
    size_t size;
    const char *piece = gt_tokenizer_piece(t, id, &size);
    return gt_tokenizer_byte_name(piece, size);
}

static int32_t find_needle(const gt_tokenizer *t, const gt_needles *n, const char *text, size_t size)
{
    if (size == 0) return -1;
    for (uint32_t i = n->first[(uint8_t)text[0]]; i < n->first[(uint8_t)text[0] + 1]; i++) {
        size_t piece_size;
        const char *piece = gt_tokenizer_piece(t, (int32_t)n->id[i], &piece_size);
        if (piece_size == size && memcmp(piece, text, size) == 0) return (int32_t)n->id[i];
    }
    return -1;
}

int32_t gt_tokenizer_find_added(const gt_tokenizer *t, const char *text, size_t size)
{
    const int32_t id = find_needle(t, &t->raw, text, size);
    if (id >= 0) return id;
    for (uint32_t i = 0; i < t->norm.count; i++) { /* sorted by another spelling: not by first byte */
        size_t piece_size;
        const char *piece = gt_tokenizer_piece(t, (int32_t)t->norm.id[i], &piece_size);
        if (piece_size == size && memcmp(piece, text, size) == 0) return (int32_t)t->norm.id[i];
    }
    return -1;
}
