/* Opening a packed tokenizer: nothing in the block is believed before it is checked, and after the checks no id, offset
 * or table entry in it can lead encode or decode astray: neither outside the block nor round in circles. */
#include "tokenizer_blob.h"

#include "checked.h"
#include "hash.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* The longest run of full slots in a merge table, hence the most steps of a search. With half of the slots empty and
 * pairs that nobody chose to collide, runs stay far below. */
enum { MAX_RUN = 2048, AHEAD = 24 };

static const char MAGIC[8] = "GTTOKEN";

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int gt_tokenizer_byte_name(const char *text, size_t size)
{
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    const int high = hex_digit(text[3]), low = hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool gt_tokenizer_layout(const gt_tokenizer_head *h, size_t at[GT_TOKENIZER_SECTIONS + 1])
{
    const size_t needle_first = 257 * sizeof(uint32_t);
    const struct {
        size_t count, size;
    } section[GT_TOKENIZER_SECTIONS] = {
        {(size_t)h->pieces + 1, sizeof(uint32_t)},
        {h->merges, sizeof(gt_merge)},
        {(size_t)1 << h->slot_bits, sizeof(uint32_t)},
        {GT_SCALAR_PAGES, sizeof(uint16_t)},
        {(size_t)h->scalar_pages * 256, sizeof(int32_t)},
        {1, needle_first},
        {(size_t)h->raw_needles + 1, sizeof(uint32_t)},
        {h->raw_needles, sizeof(uint32_t)},
        {1, needle_first},
        {(size_t)h->norm_needles + 1, sizeof(uint32_t)},
        {h->norm_needles, sizeof(uint32_t)},
        {h->pieces, 1},
        {h->text_bytes, 1},
        {h->raw_bytes, 1},
        {h->norm_bytes, 1},
    };
    size_t end = sizeof(gt_tokenizer_head);
    for (int i = 0; i < GT_TOKENIZER_SECTIONS; i++) {
        size_t bytes;
        at[i] = gt_align_up(end, 8);
        if (!gt_mul_size(section[i].count, section[i].size, &bytes) || !gt_add_size(at[i], bytes, &end)) return false;
    }
    at[GT_TOKENIZER_SECTIONS] = gt_align_up(end, 8);
    return true;
}

static gt_status check_head(const gt_tokenizer_head *h, size_t size, const char *where)
{
    if (memcmp(h->magic, MAGIC, sizeof MAGIC) != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: no packed tokenizer (it does not begin with %s)", where, MAGIC);
    if (h->order != 0x01020304)
        return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer was written in another byte order", where);
    if (h->version != GT_TOKENIZER_VERSION)
        return GT_FAIL(GT_ERR_DATA, "%s: packed tokenizer of version %u, expected %d; pack it again", where, h->version,
                       GT_TOKENIZER_VERSION);
    if (h->size != size)
        return GT_FAIL(GT_ERR_DATA, "%s: packed tokenizer of %llu bytes in %zu bytes", where,
                       (unsigned long long)h->size, size);
    if (h->pieces == 0 || h->pieces > GT_TOKENIZER_MAX_PIECES || h->merges > GT_TOKENIZER_MAX_MERGES ||
        h->slot_bits < 4 || h->slot_bits > 28 || h->index_bits < 1 || h->index_bits > 27 ||
        h->scalar_pages > GT_SCALAR_PAGES || h->raw_needles > h->pieces || h->norm_needles > h->pieces || h->add > 3)
        return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer's counts are out of range", where);
    if (h->merges >= 1u << h->index_bits || h->merges > (1u << h->slot_bits) / 2)
        return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer has %u merges, more than its table takes", where,
                       h->merges);
    return GT_OK;
}

/* at[0..count] ascends by 1 … max steps from 0 to total. */
static bool offsets_ascend(const uint32_t *at, size_t count, size_t max, size_t total)
{
    if (at[0] != 0 || at[count] != total) return false;
    bool good = true;
    for (size_t i = 0; i < count; i++) good &= at[i + 1] - at[i] - 1 < max && at[i + 1] > at[i];
    return good;
}

/* Every piece is UTF-8 for itself: the whole is, and none begins inside a character. */
static bool pieces_are_utf8(const gt_tokenizer *t)
{
    bool good = gt_utf8_valid(t->text, t->head->text_bytes, NULL);
    for (uint32_t i = 0; i < t->head->pieces; i++) good = good && ((uint8_t)t->text[t->piece_at[i]] & 0xC0) != 0x80;
    return good;
}

static gt_status check_merges(const gt_tokenizer *t, const char *where)
{
    const gt_tokenizer_head *h = t->head;
    for (uint32_t m = 0; m < h->merges; m++) {
        const gt_merge *e = &t->merge[m];
        if (e->left >= h->pieces || e->right >= h->pieces || e->result >= h->pieces)
            return GT_FAIL(GT_ERR_DATA, "%s: merge %u of the packed tokenizer names an id outside its %u pieces", where,
                           m, h->pieces);
        if (t->kind[e->result] & GT_PIECE_CONTROL)
            return GT_FAIL(GT_ERR_DATA, "%s: merge %u of the packed tokenizer makes the control token %u", where, m,
                           e->result);
    }
    /* Every merge is in the table once, where a search for its pair comes by, and no run of full slots is long. Starts
     * behind an empty slot, so that a run over the table's end counts whole. */
    const uint32_t slots = 1u << h->slot_bits, mask = slots - 1, index_mask = (1u << h->index_bits) - 1;
    uint32_t start = 0;
    while (start < slots && t->slot[start] != UINT32_MAX) start++;
    if (start == slots) return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer's merge table is full", where);
    uint32_t run = 0, used = 0;
    for (uint32_t k = 0; k < slots; k++) {
        const uint32_t i = (start + k) & mask, s = t->slot[i];
        const uint32_t ahead = t->slot[(i + AHEAD) & mask] & index_mask; /* its pair lies anywhere: fetched in time */
        if (ahead < h->merges) __builtin_prefetch(&t->merge[ahead]);
        if (s == UINT32_MAX) {
            run = 0;
            continue;
        }
        run++;
        used++;
        const uint32_t m = s & index_mask;
        if (m >= h->merges || run > MAX_RUN)
            return GT_FAIL(GT_ERR_DATA, "%s: slot %u of the packed tokenizer's merge table is wrong", where, i);
        const uint64_t hash = gt_merge_hash(t->merge[m].left, t->merge[m].right);
        const uint32_t home = (uint32_t)(hash >> (64 - h->slot_bits));
        if ((s & ~index_mask) != gt_merge_mark(h, hash) || ((i - home) & mask) >= run)
            return GT_FAIL(GT_ERR_DATA, "%s: slot %u of the packed tokenizer's merge table is wrong", where, i);
    }
    if (used != h->merges)
        return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer's merge table holds %u of %u merges", where, used,
                       h->merges);
    return GT_OK;
}

static gt_status check_needles(const gt_tokenizer *t, const gt_needles *n, size_t bytes, const char *where)
{
    /* A needle of the second pass is three times as long as its piece at most. */
    bool good = offsets_ascend(n->at, n->count, 3 * GT_TOKENIZER_MAX_PIECE, bytes) && n->first[0] == 0 &&
                n->first[256] == n->count;
    for (int b = 0; good && b < 256; b++) good = n->first[b] <= n->first[b + 1];
    for (uint32_t i = 0; good && i < n->count; i++) {
        const uint8_t b = n->text[n->at[i]];
        good = n->id[i] < t->head->pieces && (t->kind[n->id[i]] & GT_PIECE_ADDED) && n->first[b] <= i &&
               i < n->first[b + 1];
    }
    if (!good) return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer's added tokens are not consistent", where);
    return GT_OK;
}

static gt_status check_ids(const gt_tokenizer *t, const char *where)
{
    const gt_tokenizer_head *h = t->head;
    bool good = true;
    for (int b = 0; b < 256; b++) {
        const int32_t id = h->byte_id[b];
        good = good && id >= 0 && (uint32_t)id < h->pieces && (t->kind[id] & GT_PIECE_BYTE) &&
               gt_tokenizer_byte_name(t->text + t->piece_at[id], t->piece_at[id + 1] - t->piece_at[id]) == b;
    }
    for (int i = 0; i < GT_SCALAR_PAGES; i++) good = good && (t->page[i] == UINT16_MAX || t->page[i] < h->scalar_pages);
    for (size_t i = 0; i < (size_t)h->scalar_pages * 256; i++) {
        const int32_t id = t->scalar[i];
        if (id == -1) continue;
        good = good && id >= 0 && (uint32_t)id < h->pieces && !(t->kind[id] & GT_PIECE_CONTROL);
    }
    for (int i = 0; i < 7; i++) good = good && h->special[i] >= -1 && h->special[i] < (int32_t)h->pieces;
    for (uint32_t i = 0; i < h->pieces; i++) /* decode reads a byte piece's byte out of its name */
        good = good && (!(t->kind[i] & GT_PIECE_BYTE) ||
                        gt_tokenizer_byte_name(t->text + t->piece_at[i], t->piece_at[i + 1] - t->piece_at[i]) >= 0);
    good = good && !((h->add & 1) && h->special[0] < 0) && !((h->add & 2) && h->special[1] < 0);
    if (!good) return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer's ids are not consistent", where);
    return GT_OK;
}

static void digest_behind(const gt_tokenizer_head *head, const void *block, size_t size, uint8_t digest[32])
{
    const size_t skip = offsetof(gt_tokenizer_head, pieces);
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, (const uint8_t *)head + skip, sizeof *head - skip);
    gt_sha256_add(&s, (const uint8_t *)block + sizeof *head, size - sizeof *head);
    gt_sha256_end(&s, digest);
}

gt_status gt_tokenizer_open_block(gt_tokenizer *t, const void *block, size_t size, bool check_digest, const char *where)
{
    memset(t, 0, sizeof *t);
    if ((uintptr_t)block % 8 != 0) return GT_FAIL(GT_ERR_ARG, "%s: the packed tokenizer is not 8-byte aligned", where);
    if (size < sizeof(gt_tokenizer_head))
        return GT_FAIL(GT_ERR_DATA, "%s: %zu bytes are too few for a packed tokenizer", where, size);
    const gt_tokenizer_head *h = block;
    GT_TRY(check_head(h, size, where));
    size_t at[GT_TOKENIZER_SECTIONS + 1];
    if (!gt_tokenizer_layout(h, at) || at[GT_TOKENIZER_SECTIONS] != size)
        return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer's counts do not make up its %zu bytes", where, size);
    if (check_digest) {
        uint8_t digest[32];
        digest_behind(h, block, size, digest);
        if (memcmp(digest, h->sha256, sizeof digest) != 0)
            return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer does not match its SHA-256: the file is damaged",
                           where);
    }
    const char *bytes = block;
    gt_tokenizer v = {
        .head = h,
        .piece_at = (const void *)(bytes + at[0]),
        .merge = (const void *)(bytes + at[1]),
        .slot = (const void *)(bytes + at[2]),
        .page = (const void *)(bytes + at[3]),
        .scalar = (const void *)(bytes + at[4]),
        .raw = {.count = h->raw_needles,
                .first = (const void *)(bytes + at[5]),
                .at = (const void *)(bytes + at[6]),
                .id = (const void *)(bytes + at[7]),
                .text = (const void *)(bytes + at[13])},
        .norm = {.count = h->norm_needles,
                 .first = (const void *)(bytes + at[8]),
                 .at = (const void *)(bytes + at[9]),
                 .id = (const void *)(bytes + at[10]),
                 .text = (const void *)(bytes + at[14])},
        .kind = (const void *)(bytes + at[11]),
        .text = bytes + at[12],
        .specials = {h->special[0], h->special[1], h->special[2], h->special[3], h->special[4], h->special[5],
                     h->special[6], (h->add & 1) != 0, (h->add & 2) != 0},
    };
    if (!offsets_ascend(v.piece_at, h->pieces, GT_TOKENIZER_MAX_PIECE, h->text_bytes))
        return GT_FAIL(GT_ERR_DATA, "%s: the packed tokenizer's pieces do not follow each other", where);
    if (!pieces_are_utf8(&v)) return GT_FAIL(GT_ERR_DATA, "%s: a piece of the packed tokenizer is not UTF-8", where);
    GT_TRY(check_merges(&v, where));
    GT_TRY(check_needles(&v, &v.raw, h->raw_bytes, where));
    GT_TRY(check_needles(&v, &v.norm, h->norm_bytes, where));
    GT_TRY(check_ids(&v, where));
    *t = v;
    return GT_OK;
}

gt_status gt_tokenizer_from_packed(gt_tokenizer **out, const void *blob, size_t size, const char *where)
{
    gt_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a tokenizer", where);
    gt_status st = gt_tokenizer_open_block(t, blob, size, true, where);
    if (st != GT_OK) {
        gt_tokenizer_free(t);
        return st;
    }
    *out = t;
    return GT_OK;
}

void gt_tokenizer_free(gt_tokenizer *t)
{
    if (!t) return;
    free(t->owned);
    if (t->kept) t->release(t->kept);
    free(t);
}

void gt_tokenizer_keep(gt_tokenizer *t, void *object, void (*release)(void *object))
{
    t->kept = object;
    t->release = release;
}

/* The header as it would be written now: the special ids may have changed since the block was laid out. */
static gt_tokenizer_head head_now(const gt_tokenizer *t)
{
    gt_tokenizer_head h = *t->head;
    const gt_tokenizer_specials *s = &t->specials;
    const int32_t ids[7] = {s->bos, s->eos, s->pad, s->unk, s->start_of_turn, s->end_of_turn, s->start_of_image};
    memcpy(h.magic, MAGIC, sizeof h.magic);
    memcpy(h.special, ids, sizeof ids);
    h.add = (s->add_bos ? 1u : 0u) | (s->add_eos ? 2u : 0u);
    digest_behind(&h, t->head, h.size, h.sha256);
    return h;
}

gt_status gt_tokenizer_pack(const gt_tokenizer *t, void **blob, size_t *size)
{
    const size_t bytes = t->head->size;
    char *b = malloc(bytes);
    if (!b) return GT_FAIL(GT_ERR_NOMEM, "no memory for a packed tokenizer of %zu bytes", bytes);
    const gt_tokenizer_head h = head_now(t);
    memcpy(b, t->head, bytes);
    memcpy(b, &h, sizeof h);
    *blob = b;
    *size = bytes;
    return GT_OK;
}

void gt_tokenizer_sha256(const gt_tokenizer *t, uint8_t digest[32])
{
    const gt_tokenizer_head h = head_now(t);
    memcpy(digest, h.sha256, 32);
}
