/* Laying out the block of a tokenizer from what a reader found: see tokenizer_blob.h for its parts. */
#include "tokenizer_blob.h"

#include "checked.h"

#include <stdlib.h>
#include <string.h>

static const char SPACE[] = "\xE2\x96\x81"; /* U+2581, which stands for a space */

bool gt_tokenizer_control_name(const char *text, size_t size)
{
    static const char unused[] = "<unused";
    const size_t begin = sizeof unused - 1;
    if (size == 6 && memcmp(text, "<mask>", 6) == 0) return true;
    if (size == 12 && memcmp(text, "[multimodal]", 12) == 0) return true;
    if (size < begin + 2 || memcmp(text, unused, begin) != 0 || text[size - 1] != '>') return false;
    for (size_t i = begin; i < size - 1; i++)
        if (text[i] < '0' || text[i] > '9') return false;
    return true;
}

/* A needle while the list is sorted. */
typedef struct {
    char *text; /* owned */
    size_t size;
    uint32_t id;
} needle;

typedef struct {
    needle *item;
    size_t count, bytes;
} needle_list;

static void needle_list_free(needle_list *l)
{
    for (size_t i = 0; i < l->count; i++) free(l->item[i].text);
    free(l->item);
}

static int compare_needles(const void *a, const void *b)
{
    const needle *x = a, *y = b;
    const int c = memcmp(x->text, y->text, gt_min_size(x->size, y->size));
    if (c != 0) return c;
    return x->size < y->size ? -1 : x->size > y->size;
}

/* A copy of the piece, with spaces made U+2581 when normalised. NULL: no memory. */
static char *needle_text(const gt_piece *p, bool normalised, size_t *size)
{
    char *text = malloc(p->size * 3);
    if (!text) return NULL;
    size_t n = 0;
    for (size_t i = 0; i < p->size; i++) {
        if (normalised && p->text[i] == ' ') {
            memcpy(text + n, SPACE, 3);
            n += 3;
        } else {
            text[n++] = p->text[i];
        }
    }
    *size = n;
    return text;
}

static gt_status make_needles(needle_list *l, const gt_tokenizer_parts *p, const uint8_t *is_norm, bool normalised,
                              const char *where)
{
    size_t count = 0;
    for (size_t i = 0; i < p->pieces; i++) count += (p->kind[i] & GT_PIECE_ADDED) && is_norm[i] == normalised;
    l->item = calloc(count ? count : 1, sizeof *l->item);
    if (!l->item) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu added tokens", where, count);
    for (size_t i = 0; i < p->pieces; i++) {
        if (!(p->kind[i] & GT_PIECE_ADDED) || is_norm[i] != normalised) continue;
        needle *n = &l->item[l->count];
        n->id = (uint32_t)i;
        n->text = needle_text(&p->piece[i], normalised, &n->size);
        if (!n->text) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for an added token", where);
        l->bytes += n->size;
        l->count++;
    }
    qsort(l->item, l->count, sizeof *l->item, compare_needles);
    for (size_t i = 1; i < l->count; i++)
        if (compare_needles(&l->item[i - 1], &l->item[i]) == 0)
            return GT_FAIL(GT_ERR_DATA, "%s: added tokens %u and %u have the same text", where, l->item[i - 1].id,
                           l->item[i].id);
    return GT_OK;
}

static void write_needles(const needle_list *l, uint32_t *first, uint32_t *at, uint32_t *id, uint8_t *text)
{
    uint32_t used = 0;
    for (size_t i = 0; i < l->count; i++) {
        at[i] = used;
        id[i] = l->item[i].id;
        memcpy(text + used, l->item[i].text, l->item[i].size);
        used += (uint32_t)l->item[i].size;
        first[(uint8_t)l->item[i].text[0] + 1]++;
    }
    at[l->count] = used;
    for (int b = 0; b < 256; b++) first[b + 1] += first[b];
}

/* Pages of single-character pieces: page and scalar as in the block; scalar grows. */
typedef struct {
    uint16_t page[GT_SCALAR_PAGES];
    int32_t *scalar; /* owned */
    uint32_t pages;
} scalar_table;

static gt_status make_scalars(scalar_table *s, const gt_tokenizer_parts *p, const char *where)
{
    memset(s->page, 0xFF, sizeof s->page);
    for (size_t i = 0; i < p->model_pieces; i++) {
        size_t used;
        const uint32_t code = gt_utf8_next((const uint8_t *)p->piece[i].text, p->piece[i].size, &used);
        if (used != p->piece[i].size || code > 0x10FFFF) continue;
        if ((p->kind[i] & GT_PIECE_CONTROL) || (p->no_scalar && p->no_scalar[i])) continue;
        uint16_t *page = &s->page[code >> 8];
        if (*page == UINT16_MAX) {
            int32_t *grown = realloc(s->scalar, ((size_t)s->pages + 1) * 256 * sizeof *grown);
            if (!grown) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for the characters", where);
            s->scalar = grown;
            memset(grown + (size_t)s->pages * 256, 0xFF, 256 * sizeof *grown);
            *page = (uint16_t)s->pages++;
        }
        s->scalar[(size_t)*page * 256 + (code & 255)] = (int32_t)i;
    }
    return GT_OK;
}

static gt_status write_merges(const gt_tokenizer_head *h, const gt_tokenizer_parts *p, uint32_t *slot,
                              const char *where)
{
    const uint32_t slots = 1u << h->slot_bits, mask = slots - 1, index_mask = (1u << h->index_bits) - 1;
    memset(slot, 0xFF, (size_t)slots * sizeof *slot);
    for (uint32_t m = 0; m < h->merges; m++) {
        const gt_merge *e = &p->merge[m];
        if (p->kind[e->result] & GT_PIECE_CONTROL)
            return GT_FAIL(GT_ERR_DATA, "%s: merge %u makes the control token %u '%.*s'", where, m, e->result,
                           (int)p->piece[e->result].size, p->piece[e->result].text);
        const uint64_t hash = gt_merge_hash(e->left, e->right);
        const uint32_t mark = gt_merge_mark(h, hash);
        uint32_t i = (uint32_t)(hash >> (64 - h->slot_bits));
        for (; slot[i] != UINT32_MAX; i = (i + 1) & mask) {
            const gt_merge *other = &p->merge[slot[i] & index_mask];
            if (other->left == e->left && other->right == e->right)
                return GT_FAIL(GT_ERR_DATA, "%s: merge %u repeats merge %u", where, m, slot[i] & index_mask);
        }
        slot[i] = mark | m;
    }
    return GT_OK;
}

/* Notes the last bytes of characters that a merge's result has before a U+2581. */
static void note_before_space(uint32_t bits[8], const gt_piece *p)
{
    for (size_t i = 1; i + 3 <= p->size; i++) {
        if (memcmp(p->text + i, SPACE, 3) != 0) continue;
        if (i >= 3 && memcmp(p->text + i - 3, SPACE, 3) == 0) continue;
        const uint8_t b = (uint8_t)p->text[i - 1];
        bits[b / 32] |= 1u << b % 32;
    }
}

static gt_status fill_head(gt_tokenizer_head *h, const gt_tokenizer_parts *p, const char *where)
{
    if (p->pieces == 0 || p->pieces > GT_TOKENIZER_MAX_PIECES)
        return GT_FAIL(GT_ERR_DATA, "%s: %zu pieces, expected 1 to %d", where, p->pieces, GT_TOKENIZER_MAX_PIECES);
    if (p->merges > GT_TOKENIZER_MAX_MERGES)
        return GT_FAIL(GT_ERR_DATA, "%s: %zu merges, expected at most %d", where, p->merges, GT_TOKENIZER_MAX_MERGES);
    *h = (gt_tokenizer_head){.magic = "GTTOKEN", .version = GT_TOKENIZER_VERSION, .order = 0x01020304};
    h->pieces = (uint32_t)p->pieces;
    h->merges = (uint32_t)p->merges;
    for (h->index_bits = 1; h->merges >= 1u << h->index_bits;) h->index_bits++;
    for (h->slot_bits = 4; (1u << h->slot_bits) / 2 < h->merges;) h->slot_bits++;
    size_t text = 0;
    for (int b = 0; b < 256; b++) h->byte_id[b] = -1;
    for (size_t i = 0; i < p->pieces; i++) {
        const gt_piece *e = &p->piece[i];
        if (e->size == 0 || e->size > GT_TOKENIZER_MAX_PIECE)
            return GT_FAIL(GT_ERR_DATA, "%s: piece %zu has %zu bytes, expected 1 to %d", where, i, e->size,
                           GT_TOKENIZER_MAX_PIECE);
        text += e->size;
        if (!(p->kind[i] & GT_PIECE_BYTE)) continue;
        const int b = gt_tokenizer_byte_name(e->text, e->size);
        if (b < 0)
            return GT_FAIL(GT_ERR_DATA, "%s: byte piece %zu is spelled '%.*s', expected <0x00> to <0xFF>", where, i,
                           (int)e->size, e->text);
        h->byte_id[b] = (int32_t)i;
    }
    if (text > UINT32_MAX) return GT_FAIL(GT_ERR_DATA, "%s: the pieces have %zu bytes, more than 4 GiB", where, text);
    h->text_bytes = (uint32_t)text;
    for (int b = 0; b < 256; b++)
        if (h->byte_id[b] < 0)
            return GT_FAIL(GT_ERR_DATA,
                           "%s: the byte piece <0x%02X> is missing: characters outside the vocabulary could "
                           "not be encoded",
                           where, b);
    for (size_t m = 0; m < p->merges; m++) note_before_space(h->before_space, &p->piece[p->merge[m].result]);
    const gt_tokenizer_specials *s = &p->specials;
    const int32_t ids[7] = {s->bos, s->eos, s->pad, s->unk, s->start_of_turn, s->end_of_turn, s->start_of_image};
    memcpy(h->special, ids, sizeof ids);
    h->add = (s->add_bos ? 1u : 0u) | (s->add_eos ? 2u : 0u);
    return GT_OK;
}

static gt_status write_block(gt_tokenizer_head *h, const gt_tokenizer_parts *p, const needle_list *raw,
                             const needle_list *norm, const scalar_table *scalars, char **out, const char *where)
{
    size_t at[GT_TOKENIZER_SECTIONS + 1];
    if (!gt_tokenizer_layout(h, at)) return GT_FAIL(GT_ERR_DATA, "%s: the vocabulary is too large", where);
    h->size = at[GT_TOKENIZER_SECTIONS];
    char *b = calloc(1, h->size);
    if (!b) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a tokenizer of %zu bytes", where, (size_t)h->size);
    memcpy(b, h, sizeof *h);
    uint32_t *piece_at = (uint32_t *)(void *)(b + at[0]), used = 0;
    for (size_t i = 0; i < p->pieces; i++) {
        piece_at[i] = used;
        memcpy(b + at[12] + used, p->piece[i].text, p->piece[i].size);
        used += (uint32_t)p->piece[i].size;
    }
    piece_at[p->pieces] = used;
    memcpy(b + at[11], p->kind, p->pieces);
    if (p->merges) memcpy(b + at[1], p->merge, p->merges * sizeof *p->merge);
    memcpy(b + at[3], scalars->page, sizeof scalars->page);
    if (scalars->pages) memcpy(b + at[4], scalars->scalar, (size_t)scalars->pages * 256 * sizeof(int32_t));
    write_needles(raw, (void *)(b + at[5]), (void *)(b + at[6]), (void *)(b + at[7]), (void *)(b + at[13]));
    write_needles(norm, (void *)(b + at[8]), (void *)(b + at[9]), (void *)(b + at[10]), (void *)(b + at[14]));
    gt_status st = write_merges(h, p, (void *)(b + at[2]), where);
    if (st != GT_OK) {
        free(b);
        return st;
    }
    *out = b;
    return GT_OK;
}

gt_status gt_tokenizer_build(gt_tokenizer **out, const gt_tokenizer_parts *p, const char *where)
{
    gt_tokenizer_head head;
    needle_list raw = {0}, norm = {0};
    char *block = NULL;
    gt_status st = fill_head(&head, p, where);
    if (st != GT_OK) return st;
    scalar_table *scalars = calloc(1, sizeof *scalars);
    uint8_t *is_norm = calloc(p->pieces, 1);
    gt_tokenizer *t = calloc(1, sizeof *t);
    if (!scalars || !is_norm || !t) {
        st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a tokenizer of %zu pieces", where, p->pieces);
        goto done;
    }
    for (size_t i = 0; i < p->norms; i++) is_norm[p->norm[i]] = 1;
    GT_TRY_TO(st, make_needles(&raw, p, is_norm, false, where), done);
    GT_TRY_TO(st, make_needles(&norm, p, is_norm, true, where), done);
    GT_TRY_TO(st, make_scalars(scalars, p, where), done);
    const uint16_t page = scalars->page[0x2581 >> 8];
    if (page == UINT16_MAX || scalars->scalar[(size_t)page * 256 + (0x2581 & 255)] < 0) {
        st = GT_FAIL(GT_ERR_DATA, "%s: no piece for U+2581, which spaces become", where);
        goto done;
    }
    head.raw_needles = (uint32_t)raw.count;
    head.raw_bytes = (uint32_t)raw.bytes;
    head.norm_needles = (uint32_t)norm.count;
    head.norm_bytes = (uint32_t)norm.bytes;
    head.scalar_pages = scalars->pages;
    GT_TRY_TO(st, write_block(&head, p, &raw, &norm, scalars, &block, where), done);
    GT_TRY_TO(st, gt_tokenizer_open_block(t, block, head.size, false, where), done);
    t->owned = block;
    *out = t;
    t = NULL;
    block = NULL;
done:
    free(block);
    free(t);
    free(is_norm);
    if (scalars) free(scalars->scalar);
    free(scalars);
    needle_list_free(&raw);
    needle_list_free(&norm);
    return st;
}
