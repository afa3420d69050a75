#include "tokenizer_index.h"

#include <stdlib.h>
#include <string.h>

/* With half of the slots empty no honest search is nearly this long. */
enum { MAX_PROBES = 4096 };

static uint64_t hash_text(const char *text, size_t size)
{
    uint64_t h = size * 0x9E3779B97F4A7C15u, w;
    while (size >= 8) {
        memcpy(&w, text, 8);
        h = (h ^ w) * 0xBF58476D1CE4E5B9u;
        h ^= h >> 31;
        text += 8;
        size -= 8;
    }
    w = 0;
    if (size) memcpy(&w, text, size);
    h = (h ^ w) * 0x94D049BB133111EBu;
    h ^= h >> 29;
    return h * 0x9E3779B97F4A7C15u >> 32;
}

gt_status gt_piece_index_create(gt_piece_index *x, const gt_piece *piece, size_t capacity)
{
    size_t slots = 16;
    while (slots < 2 * capacity) slots *= 2;
    *x = (gt_piece_index){.piece = piece, .mask = (uint32_t)(slots - 1)};
    x->slot = malloc(slots * sizeof *x->slot);
    if (!x->slot) return GT_FAIL(GT_ERR_NOMEM, "no memory for an index of %zu pieces", capacity);
    memset(x->slot, 0xFF, slots * sizeof *x->slot);
    return GT_OK;
}

void gt_piece_index_free(gt_piece_index *x)
{
    free(x->slot);
    *x = (gt_piece_index){0};
}

static bool equal(const gt_piece *p, const char *text, size_t size)
{
    return p->size == size && memcmp(p->text, text, size) == 0;
}

gt_status gt_piece_index_add(gt_piece_index *x, uint32_t id, const char *where)
{
    const gt_piece *p = &x->piece[id];
    uint32_t i = (uint32_t)hash_text(p->text, p->size) & x->mask;
    for (int probes = 0; x->slot[i] != UINT32_MAX; i = (i + 1) & x->mask) {
        if (equal(&x->piece[x->slot[i]], p->text, p->size))
            return GT_FAIL(GT_ERR_DATA, "%s: pieces %u and %u have the same text '%.*s'", where, x->slot[i], id,
                           (int)p->size, p->text);
        if (++probes > MAX_PROBES)
            return GT_FAIL(GT_ERR_DATA, "%s: the pieces' texts collide in the index; this is no honest vocabulary",
                           where);
    }
    x->slot[i] = id;
    return GT_OK;
}

int64_t gt_piece_index_find(const gt_piece_index *x, const char *text, size_t size)
{
    for (uint32_t i = (uint32_t)hash_text(text, size) & x->mask; x->slot[i] != UINT32_MAX; i = (i + 1) & x->mask)
        if (equal(&x->piece[x->slot[i]], text, size)) return x->slot[i];
    return -1;
}

int32_t gt_piece_index_added(const gt_piece_index *x, const uint8_t *kind, const char *name)
{
    const int64_t id = gt_piece_index_find(x, name, strlen(name));
    return id >= 0 && (kind[id] & GT_PIECE_ADDED) ? (int32_t)id : -1;
}
