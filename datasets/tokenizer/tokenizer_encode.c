/* Encoding: added tokens are cut out of the raw text, what lies between is cut into stretches that no merge can cross,
 * and each stretch is merged (tokenizer_bpe.h).
 *
 * Stretches: Gemma's whole segment is one BPE word, but U+2581 stands only at the begin of a piece or in runs of itself
 * (one piece apart), so nothing can join across the border before a space. Cutting there changes no id and makes the
 * heap as small as a word. The table of exceptions is made from the merges themselves: tokenizer_blob.h, before_space.
 */
#include "checked.h"
#include "tokenizer_bpe.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* One text on its way to ids. */
typedef struct {
    const gt_tokenizer *t;
    const uint8_t *text;
    size_t size;
    bool parse_special;
    const gt_text_span *trusted;
    size_t trusted_count, trusted_now; /* spans before trusted_now end before the scan's place */
    gt_bpe bpe;
    gt_ids *ids;
} encoder;

/* Whether a control token may stand at [begin, end). */
static bool control_allowed(const encoder *e, size_t begin, size_t end)
{
    if (e->parse_special) return true;
    const size_t i = e->trusted_now;
    return i < e->trusted_count && e->trusted[i].begin <= begin && end <= e->trusted[i].end;
}

static void pass_spans(encoder *e, size_t place)
{
    while (e->trusted_now < e->trusted_count && e->trusted[e->trusted_now].end <= place) e->trusted_now++;
}

/* The byte of needle i at depth, or -1 past its end: what the list is sorted by. */
static int needle_byte(const gt_needles *n, uint32_t i, uint32_t depth)
{
    return n->at[i + 1] - n->at[i] <= depth ? -1 : n->text[n->at[i] + depth];
}

/* The first of the needles [low, high), equal before depth, whose byte there is at least b. */
static uint32_t lower_bound(const gt_needles *n, uint32_t low, uint32_t high, uint32_t depth, int b)
{
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (needle_byte(n, middle, depth) < b)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest needle that begins at text[begin] and ends by `end`: its id and *matched bytes of the text, or -1. With
 * normalise a space of the text is read as the three bytes of U+2581. */
static int64_t longest_needle(const encoder *e, const gt_needles *n, size_t begin, size_t end, bool normalise,
                              size_t *matched)
{
    static const uint8_t space[3] = {0xE2, 0x96, 0x81};
    int64_t best = -1;
    uint32_t low = 0, high = n->count;
    uint32_t depth = 0;
    for (size_t place = begin; place < end; place++) {
        const bool widen = normalise && e->text[place] == ' ';
        for (int k = 0; k < (widen ? 3 : 1); k++) {
            const int b = widen ? space[k] : e->text[place];
            if (depth == 0) {
                low = n->first[b];
                high = n->first[b + 1];
            } else {
                low = lower_bound(n, low, high, depth, b);
                high = lower_bound(n, low, high, depth, b + 1);
            }
            if (low == high) return best;
            depth++;
        }
        if (n->at[low + 1] - n->at[low] != depth) continue;
        const uint32_t id = n->id[low];
        if ((e->t->kind[id] & GT_PIECE_CONTROL) && !control_allowed(e, begin, place + 1)) continue;
        best = id;
        *matched = place + 1 - begin;
    }
    return best;
}

static gt_status push_bytes(encoder *e, size_t begin, size_t size)
{
    for (size_t i = 0; i < size; i++)
        GT_TRY(gt_bpe_push(&e->bpe, (uint32_t)e->t->head->byte_id[e->text[begin + i]], (uint32_t)(begin + i)));
    return GT_OK;
}

/* Text between added tokens: cut into stretches, each merged. */
static gt_status encode_segment(encoder *e, size_t begin, size_t end)
{
    const uint32_t *before_space = e->t->head->before_space;
    bool after_space = false;
    for (size_t place = begin, used; place < end; place += used) {
        uint32_t code = gt_utf8_next(e->text + place, end - place, &used);
        const bool is_space = code == ' ' || code == 0x2581;
        if (is_space) {
            code = 0x2581;
            const uint8_t last = place > begin ? e->text[place - 1] : 0;
            if (!after_space && !(before_space[last / 32] >> last % 32 & 1))
                GT_TRY(gt_bpe_finish(&e->bpe, e->t, e->ids));
        }
        after_space = is_space;
        const int32_t id = gt_scalar_find(e->t, code);
        if (id >= 0)
            GT_TRY(gt_bpe_push(&e->bpe, (uint32_t)id, (uint32_t)place));
        else
            GT_TRY(push_bytes(e, place, used));
    }
    return gt_bpe_finish(&e->bpe, e->t, e->ids);
}

/* Cuts the needles of one list out of [begin, end), leftmost-longest, and gives what lies between to the next pass. */
static gt_status cut_needles(encoder *e, const gt_needles *n, bool normalise, size_t begin, size_t end,
                             gt_status (*rest)(encoder *, size_t, size_t))
{
    size_t segment = begin;
    for (size_t place = begin; place < end;) {
        const uint8_t b = normalise && e->text[place] == ' ' ? 0xE2 : e->text[place];
        if (n->first[b] == n->first[b + 1]) {
            place++;
            continue;
        }
        if (!normalise) pass_spans(e, place);
        size_t matched;
        const int64_t id = longest_needle(e, n, place, end, normalise, &matched);
        if (id < 0) {
            place++;
            continue;
        }
        if (segment < place) GT_TRY(rest(e, segment, place));
        GT_TRY(gt_ids_push(e->ids, (int32_t)id, place));
        place += matched;
        segment = place;
    }
    return segment < end ? rest(e, segment, end) : GT_OK;
}

/* Appended terms of a fine-tune are looked for in the normalised text: the reference's second pass. */
static gt_status second_pass(encoder *e, size_t begin, size_t end)
{
    return e->t->norm.count ? cut_needles(e, &e->t->norm, true, begin, end, encode_segment)
                            : encode_segment(e, begin, end);
}

static gt_status check_text(const char *text, size_t size, const gt_text_span *trusted, size_t count)
{
    size_t bad;
    if (size > GT_TOKENIZER_MAX_TEXT)
        return GT_FAIL(GT_ERR_DATA, "a text of %zu bytes, expected at most %d", size, GT_TOKENIZER_MAX_TEXT);
    if (!gt_utf8_valid(text, size, &bad)) return GT_FAIL(GT_ERR_DATA, "the text is not UTF-8 at byte %zu", bad);
    for (size_t i = 0; i < count; i++)
        if (trusted[i].begin > trusted[i].end || trusted[i].end > size || (i && trusted[i].begin < trusted[i - 1].end))
            return GT_FAIL(GT_ERR_ARG, "trusted span %zu [%zu, %zu) is not in order inside %zu bytes", i,
                           trusted[i].begin, trusted[i].end, size);
    return GT_OK;
}

static gt_status need_special(int32_t id, const char *name)
{
    if (id >= 0) return GT_OK;
    return GT_FAIL(GT_ERR_DATA,
                   "%s is to be added, but the tokenizer has no %s token; name one in tokenizer_config.json", name,
                   name);
}

static bool ends_with_piece(const gt_tokenizer *t, const char *text, size_t size, int32_t id)
{
    size_t n;
    const char *piece = gt_tokenizer_piece(t, id, &n);
    return size >= n && memcmp(text + size - n, piece, n) == 0;
}

gt_status gt_tokenizer_encode_spans(const gt_tokenizer *t, const char *text, size_t size, unsigned flags,
                                    const gt_text_span *trusted, size_t trusted_count, gt_ids *ids)
{
    const gt_tokenizer_specials *s = &t->specials;
    GT_TRY(check_text(text, size, trusted, trusted_count));
    if (flags & GT_ENCODE_DEFAULT) flags |= (s->add_bos ? GT_ENCODE_ADD_BOS : 0) | (s->add_eos ? GT_ENCODE_ADD_EOS : 0);
    if (flags & GT_ENCODE_ADD_BOS) GT_TRY(need_special(s->bos, "bos"));
    if (flags & (GT_ENCODE_ADD_EOS | GT_ENCODE_END_TEXT)) GT_TRY(need_special(s->eos, "eos"));

    const size_t before = ids->count;
    const bool parse = (flags & GT_ENCODE_PARSE_SPECIAL) != 0;
    encoder e = {.t = t,
                 .text = (const uint8_t *)text,
                 .size = size,
                 .parse_special = parse,
                 .trusted = trusted,
                 .trusted_count = trusted_count,
                 .ids = ids};
    gt_status st = GT_OK;
    if (flags & GT_ENCODE_ADD_BOS) GT_TRY_TO(st, gt_ids_push(ids, s->bos, 0), done);
    const size_t first = ids->count;
    GT_TRY_TO(st, cut_needles(&e, &t->raw, false, 0, size, second_pass), done);
    if ((flags & GT_ENCODE_ADD_BOS) && (flags & GT_ENCODE_ONE_BOS) && ids->count > first && ids->id[first] == s->bos) {
        memmove(ids->id + first - 1, ids->id + first, (ids->count - first) * sizeof *ids->id);
        if (ids->keep_begin)
            memmove(ids->begin + first - 1, ids->begin + first, (ids->count - first) * sizeof *ids->begin);
        ids->count--;
        ids->bos_stripped = true;
    }
    if ((flags & GT_ENCODE_END_TEXT) && !(parse && ends_with_piece(t, text, size, s->eos)))
        GT_TRY_TO(st, gt_ids_push(ids, s->eos, size), done);
    if (flags & GT_ENCODE_ADD_EOS) GT_TRY_TO(st, gt_ids_push(ids, s->eos, size), done);
done:
    gt_bpe_free(&e.bpe);
    if (st != GT_OK) ids->count = before;
    return st;
}

gt_status gt_tokenizer_encode(const gt_tokenizer *t, const char *text, size_t size, unsigned flags, gt_ids *ids)
{
    return gt_tokenizer_encode_spans(t, text, size, flags, NULL, 0, ids);
}
