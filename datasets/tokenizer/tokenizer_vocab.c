/* A tokenizer from a GGUF's pieces and scores. GGUF keeps no merges, but Gemma's merges are a function of the
 * vocabulary: every split of a piece into two pieces, in the order of the results' scores (see merge_order below), so
 * they are made again and encoding is the same as from tokenizer.json, not only nearly. */
#include "tokenizer_index.h"
#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

static const char SPACE[] = "\xE2\x96\x81"; /* U+2581 */
static const char IMAGE[] = "<image_soft_token>";
enum { IMAGE_ID = 262144, START_OF_IMAGE_ID = 255999 }; /* where Gemma 3 has them */

typedef struct {
    const char *where;
    const gt_vocab *v;
    gt_piece *piece;    /* [count + 1] owned */
    uint8_t *kind;      /* [count + 1] owned */
    uint8_t *run;       /* [count + 1] owned: length in characters of a piece that is only U+2581, else 0 */
    uint8_t *no_scalar; /* [count + 1] owned */
    char *runs;         /* owned: the texts of runs that were spelled with spaces */
    uint32_t *result;   /* [results] owned: pieces that merges make, in the order of their merges */
    size_t results;
    gt_merge *merge; /* owned */
    size_t merges, merge_capacity, pieces;
    gt_piece_index index;
} reader;

static void reader_free(reader *r)
{
    free(r->piece);
    free(r->kind);
    free(r->run);
    free(r->no_scalar);
    free(r->runs);
    free(r->result);
    free(r->merge);
    gt_piece_index_free(&r->index);
}

static gt_status allocate(reader *r)
{
    const size_t n = r->v->count;
    if (n == 0 || n >= GT_TOKENIZER_MAX_PIECES)
        return GT_FAIL(GT_ERR_DATA, "%s: %zu pieces, expected 1 to %d", r->where, n, GT_TOKENIZER_MAX_PIECES - 1);
    size_t spaces = 0;
    for (size_t i = 0; i < n; i++) {
        if (r->v->size[i] > GT_TOKENIZER_MAX_PIECE)
            return GT_FAIL(GT_ERR_DATA, "%s: piece %zu has %zu bytes, expected at most %d", r->where, i, r->v->size[i],
                           GT_TOKENIZER_MAX_PIECE);
        if (r->v->type[i] == USER_DEFINED && r->v->size[i] && r->v->piece[i][0] == ' ') spaces += 3 * r->v->size[i];
    }
    r->piece = calloc(n + 1, sizeof *r->piece);
    r->kind = calloc(n + 1, 1);
    r->run = calloc(n + 1, 1);
    r->no_scalar = calloc(n + 1, 1);
    r->result = calloc(n + 1, sizeof *r->result);
    r->runs = malloc(spaces + 1);
    if (!r->piece || !r->kind || !r->run || !r->no_scalar || !r->result || !r->runs)
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu pieces", r->where, n);
    gt_piece_index index = {0};
    GT_TRY(gt_piece_index_create(&index, r->piece, n + 1));
    r->index = index;
    return GT_OK;
}

/* How often the unit repeats to make up the whole text; 0 if it does not. */
static size_t repeats(const char *text, size_t size, const char *unit, size_t unit_size)
{
    if (size % unit_size) return 0;
    for (size_t i = 0; i < size; i += unit_size)
        if (memcmp(text + i, unit, unit_size) != 0) return 0;
    return size / unit_size;
}

static bool is_one_of(const char *text, size_t size, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == size && memcmp(text, names[i], size) == 0) return true;
    return false;
}

/* GGUF's types are not the special flags; those nine are Gemma's. */
static bool is_special_name(const char *text, size_t size)
{
    static const char *const names[] = {
        "<pad>",          "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>",
        "<end_of_image>", IMAGE};
    return is_one_of(text, size, names, sizeof names / sizeof *names);
}

static void mark_added(reader *r, size_t i)
{
    const gt_piece *p = &r->piece[i];
    const bool special = is_special_name(p->text, p->size);
    const int type = r->v->type[i];
    const bool control = special || type == CONTROL || type == UNKNOWN || gt_tokenizer_control_name(p->text, p->size);
    r->kind[i] = (uint8_t)(GT_PIECE_ADDED | (special ? GT_PIECE_SPECIAL : 0) | (control ? GT_PIECE_CONTROL : 0));
}

/* A user-defined run of spaces stands for the run of U+2581 that spaces become. */
static void take_run(reader *r, size_t i, char **free_text)
{
    gt_piece *p = &r->piece[i];
    size_t n = p->size >= 2 ? repeats(p->text, p->size, " ", 1) : 0;
    if (n) {
        for (size_t k = 0; k < n; k++) memcpy(*free_text + 3 * k, SPACE, 3);
        *p = (gt_piece){*free_text, 3 * n};
        *free_text += 3 * n;
    } else {
        n = repeats(p->text, p->size, SPACE, 3);
    }
    r->run[i] = (uint8_t)(n <= UINT8_MAX ? n : 0);
}

static gt_status take_piece(reader *r, size_t i, char **free_text)
{
    const int type = r->v->type[i];
    const gt_piece given = {r->v->piece[i], r->v->size[i]};
    static const gt_piece nameless = {"<unused>", 8}; /* an unused row may have no text; no text leads to it */
    if (type < NORMAL || type > BYTE)
        return GT_FAIL(GT_ERR_DATA, "%s: piece %zu has token type %d, expected 1 to 6", r->where, i, type);
    if (!isfinite(r->v->score[i])) return GT_FAIL(GT_ERR_DATA, "%s: the score of piece %zu is not finite", r->where, i);
    if (given.size == 0 && type != UNUSED) return GT_FAIL(GT_ERR_DATA, "%s: piece %zu has no text", r->where, i);
    if (!gt_utf8_valid(given.text, given.size, NULL))
        return GT_FAIL(GT_ERR_DATA, "%s: piece %zu is not UTF-8", r->where, i);
    r->piece[i] = given.size ? given : nameless;
    r->no_scalar[i] = type == UNUSED;
    if (type == UNUSED) return GT_OK;
    if (type == BYTE) {
        if (gt_tokenizer_byte_name(given.text, given.size) < 0)
            return GT_FAIL(GT_ERR_DATA, "%s: byte piece %zu is not spelled <0x00> to <0xFF>", r->where, i);
        r->kind[i] = GT_PIECE_BYTE;
    }
    if (type == USER_DEFINED) take_run(r, i, free_text);
    if (type == USER_DEFINED || type == CONTROL || type == UNKNOWN) mark_added(r, i);
    return gt_piece_index_add(&r->index, (uint32_t)i, r->where);
}

/* <image_soft_token> is in tokenizer.json and not in the GGUF; a padded vocabulary has an unused row there. */
static gt_status add_image_token(reader *r)
{
    const size_t n = r->pieces, size = sizeof IMAGE - 1;
    static const char start[] = "<start_of_image>";
    if (n < IMAGE_ID || gt_piece_index_find(&r->index, IMAGE, size) >= 0) return GT_OK;
    if (gt_piece_index_find(&r->index, start, sizeof start - 1) != START_OF_IMAGE_ID) return GT_OK;
    if (n > IMAGE_ID && r->v->type[IMAGE_ID] != UNUSED) return GT_OK;
    r->piece[IMAGE_ID] = (gt_piece){IMAGE, size};
    r->kind[IMAGE_ID] = GT_PIECE_ADDED | GT_PIECE_SPECIAL | GT_PIECE_CONTROL;
    r->no_scalar[IMAGE_ID] = 1;
    if (n == IMAGE_ID) r->pieces++;
    return gt_piece_index_add(&r->index, IMAGE_ID, r->where);
}

/* Whether a piece may be a part or a result of merges. */
static bool merges_take(const reader *r, int64_t id)
{
    return id >= 0 && id < (int64_t)r->v->count && (r->v->type[id] == NORMAL || r->run[id]);
}

typedef struct {
    float score;
    uint32_t id;
    uint8_t run;
} result_key;

/* The order of tokenizer.json: runs first, then by score, the highest first. */
static int merge_order(const void *a, const void *b)
{
    const result_key *x = a, *y = b;
    if (x->run != y->run) return x->run > y->run ? -1 : 1;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static gt_status order_results(reader *r)
{
    result_key *key = malloc((r->v->count + 1) * sizeof *key);
    if (!key) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory to order the pieces", r->where);
    for (size_t i = 0; i < r->v->count; i++) {
        if (!merges_take(r, (int64_t)i)) continue;
        key[r->results++] = (result_key){r->v->score[i], (uint32_t)i, r->run[i]};
    }
    qsort(key, r->results, sizeof *key, merge_order);
    for (size_t i = 0; i < r->results; i++) r->result[i] = key[i].id;
    free(key);
    return GT_OK;
}

static gt_status push_merge(reader *r, gt_merge m)
{
    if (r->merges == r->merge_capacity) {
        const size_t more = r->merge_capacity ? 2 * r->merge_capacity : 4096;
        gt_merge *grown = realloc(r->merge, more * sizeof *grown);
        if (!grown) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu merges", r->where, more);
        r->merge = grown;
        r->merge_capacity = more;
    }
    if (r->merges >= GT_TOKENIZER_MAX_MERGES)
        return GT_FAIL(GT_ERR_DATA, "%s: the pieces make more than %d merges", r->where, GT_TOKENIZER_MAX_MERGES);
    r->merge[r->merges++] = m;
    return GT_OK;
}

/* The characters of a piece that takes part in a run's merge; the single U+2581 is a normal piece. */
static uint8_t run_length(const reader *r, uint32_t id)
{
    return r->run[id] ? r->run[id] : 1;
}

/* Every split of a piece into two pieces, the longest left part first. */
static gt_status split_piece(reader *r, uint32_t id)
{
    const gt_piece *p = &r->piece[id];
    for (size_t cut = p->size; cut-- > 1;) {
        if (((uint8_t)p->text[cut] & 0xC0) == 0x80) continue; /* inside a character */
        const int64_t left = gt_piece_index_find(&r->index, p->text, cut);
        if (!merges_take(r, left)) continue;
        const int64_t right = gt_piece_index_find(&r->index, p->text + cut, p->size - cut);
        if (!merges_take(r, right)) continue;
        GT_TRY(push_merge(r, (gt_merge){(uint32_t)left, (uint32_t)right, id}));
    }
    return GT_OK;
}

typedef struct {
    gt_merge merge;
    uint8_t left, right; /* lengths in characters */
} run_merge;

static int run_order(const void *a, const void *b)
{
    const run_merge *x = a, *y = b;
    return x->left != y->left ? y->left - x->left : y->right - x->right;
}

/* Makes all merges. Those of runs come first, the longest left part first and then the longest right part, as in
 * tokenizer.json: so a run grows from the left to its 31 before the next one begins. */
static gt_status make_merges(reader *r)
{
    size_t k = 0;
    for (; k < r->results && r->run[r->result[k]]; k++) GT_TRY(split_piece(r, r->result[k]));
    run_merge *sorted = malloc((r->merges + 1) * sizeof *sorted);
    if (!sorted) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory to order the merges of runs", r->where);
    for (size_t i = 0; i < r->merges; i++)
        sorted[i] = (run_merge){r->merge[i], run_length(r, r->merge[i].left), run_length(r, r->merge[i].right)};
    qsort(sorted, r->merges, sizeof *sorted, run_order);
    for (size_t i = 0; i < r->merges; i++) r->merge[i] = sorted[i].merge;
    free(sorted);
    for (; k < r->results; k++) GT_TRY(split_piece(r, r->result[k]));
    return GT_OK;
}

static gt_status read_vocab(reader *r, gt_tokenizer **out)
{
    GT_TRY(allocate(r));
    char *free_text = r->runs;
    for (size_t i = 0; i < r->v->count; i++) GT_TRY(take_piece(r, i, &free_text));
    r->pieces = r->v->count;
    GT_TRY(add_image_token(r));
    GT_TRY(order_results(r));
    GT_TRY(make_merges(r));
    const int32_t bos = gt_piece_index_added(&r->index, r->kind, "<bos>");
    const gt_tokenizer_parts parts = {
        .piece = r->piece,
        .kind = r->kind,
        .pieces = r->pieces,
        .model_pieces = r->pieces,
        .no_scalar = r->no_scalar,
        .merge = r->merge,
        .merges = r->merges,
        .specials = {bos, gt_piece_index_added(&r->index, r->kind, "<eos>"),
                     gt_piece_index_added(&r->index, r->kind, "<pad>"),
                     gt_piece_index_added(&r->index, r->kind, "<unk>"),
                     gt_piece_index_added(&r->index, r->kind, "<start_of_turn>"),
                     gt_piece_index_added(&r->index, r->kind, "<end_of_turn>"),
                     gt_piece_index_added(&r->index, r->kind, "<start_of_image>"), bos >= 0, false},
    };
    return gt_tokenizer_build(out, &parts, r->where);
}

gt_status gt_tokenizer_from_vocab(gt_tokenizer **out, const gt_vocab *v, const char *where)
{
    reader r = {.where = where, .v = v};
    gt_status st = read_vocab(&r, out);
    reader_free(&r);
    return st;
}
