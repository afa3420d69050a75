/* Reading tokenizer.json. The reference builds its behaviour out of the parts that the file names (normalizer,
 * pre-tokenizer, model, decoder); ours is Gemma's, so each part is compared with Gemma's and another one is refused. */
#include "checked.h"
#include "json.h"
#include "tokenizer_index.h"

#include <stdlib.h>
#include <string.h>

static const char SPACE[] = "\xE2\x96\x81"; /* U+2581 */

typedef struct {
    const char *where;
    const gt_json *vocab, *added, *merges_json;
    gt_piece *piece; /* [capacity] owned */
    uint8_t *kind;   /* [capacity] owned */
    uint32_t *norm;  /* [capacity] owned */
    gt_merge *merge; /* owned */
    gt_piece_index index;
    size_t capacity, model_pieces, pieces, norms, merges;
    int64_t post_bos, post_eos; /* ids that the post-processor puts around a text, or -1 */
} reader;

static void reader_free(reader *r)
{
    free(r->piece);
    free(r->kind);
    free(r->norm);
    free(r->merge);
    gt_piece_index_free(&r->index);
}

static bool is_absent(const gt_json *v)
{
    return !v || v->type == GT_JSON_NULL;
}
static bool is_type(const gt_json *v, const char *type)
{
    return gt_json_is_string(gt_json_get(v, "type"), type);
}
static bool is_false_or_absent(const gt_json *v)
{
    return is_absent(v) || v->type == GT_JSON_FALSE;
}

/* {"type": "Replace", "pattern": {"String": from}, "content": to} */
static bool is_replace(const gt_json *v, const char *from, const char *to)
{
    return is_type(v, "Replace") && gt_json_is_string(gt_json_get(gt_json_get(v, "pattern"), "String"), from) &&
           gt_json_is_string(gt_json_get(v, "content"), to);
}

static gt_status check_normalizer(const reader *r, const gt_json *v)
{
    if (v && v->type == GT_JSON_OBJECT && is_type(v, "Sequence")) { /* some exports wrap the one step in a list */
        const gt_json *list = gt_json_get(v, "normalizers");
        v = list && list->type == GT_JSON_ARRAY && list->count == 1 ? list->child : NULL;
    }
    if (v && is_replace(v, " ", SPACE)) return GT_OK;
    return GT_FAIL(GT_ERR_DATA,
                   "%s: the normalizer is not the replacement of spaces by U+2581 that Gemma's tokenizer has",
                   r->where);
}

static gt_status check_pre_tokenizer(const reader *r, const gt_json *v)
{
    if (is_absent(v)) return GT_OK;
    /* Without effect: the normalizer has left no space to split at. */
    if (is_type(v, "Split") && gt_json_is_string(gt_json_get(gt_json_get(v, "pattern"), "String"), " ")) return GT_OK;
    return GT_FAIL(GT_ERR_DATA,
                   "%s: the pre_tokenizer is neither null nor a split at spaces; it would change the result", r->where);
}

static gt_status check_decoder(const reader *r, const gt_json *v)
{
    const gt_json *list = gt_json_get(v, "decoders");
    if (is_type(v, "Sequence") && list && list->type == GT_JSON_ARRAY && list->count == 3) {
        const gt_json *a = list->child, *b = a->next, *c = b->next;
        if (is_replace(a, SPACE, " ") && is_type(b, "ByteFallback") && is_type(c, "Fuse")) return GT_OK;
    }
    return GT_FAIL(GT_ERR_DATA, "%s: the decoder is not the sequence Replace, ByteFallback, Fuse of Gemma's tokenizer",
                   r->where);
}

static gt_status check_model(const reader *r, const gt_json *m)
{
    if (!is_type(m, "BPE")) return GT_FAIL(GT_ERR_DATA, "%s: the model's type is not BPE", r->where);
    if (!is_absent(gt_json_get(m, "dropout")))
        return GT_FAIL(GT_ERR_DATA, "%s: model.dropout is set; a tokenizer must give the same ids every time",
                       r->where);
    static const char *const affix[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (int i = 0; i < 2; i++) {
        const gt_json *v = gt_json_get(m, affix[i]);
        if (!is_absent(v) && !gt_json_is_string(v, ""))
            return GT_FAIL(GT_ERR_DATA, "%s: model.%s is set; Gemma's tokenizer has none", r->where, affix[i]);
    }
    if (!is_false_or_absent(gt_json_get(m, "ignore_merges")))
        return GT_FAIL(GT_ERR_DATA, "%s: model.ignore_merges is not false", r->where);
    const gt_json *fallback = gt_json_get(m, "byte_fallback");
    if (!fallback || fallback->type != GT_JSON_TRUE)
        return GT_FAIL(GT_ERR_DATA, "%s: model.byte_fallback is not true", r->where);
    return GT_OK;
}

/* Takes a string of the document as a piece's text. */
static gt_status take_piece(const reader *r, gt_piece *out, const char *text, size_t size, const char *what,
                            size_t number)
{
    if (size == 0 || size > GT_TOKENIZER_MAX_PIECE)
        return GT_FAIL(GT_ERR_DATA, "%s: %s %zu has %zu bytes, expected 1 to %d", r->where, what, number, size,
                       GT_TOKENIZER_MAX_PIECE);
    *out = (gt_piece){text, size};
    return GT_OK;
}

static gt_status read_vocab(reader *r)
{
    if (!r->vocab || r->vocab->type != GT_JSON_OBJECT || r->vocab->count == 0)
        return GT_FAIL(GT_ERR_DATA, "%s: model.vocab is not an object of pieces", r->where);
    const size_t n = r->vocab->count;
    size_t k = 0;
    for (const gt_json *v = r->vocab->child; v; v = v->next, k++) {
        if (v->type != GT_JSON_NUMBER || !v->is_integer || v->integer < 0 || (uint64_t)v->integer >= n)
            return GT_FAIL(GT_ERR_DATA, "%s: the id of piece '%.*s' is not one of 0 to %zu", r->where,
                           (int)v->key_length, v->key, n - 1);
        gt_piece *p = &r->piece[v->integer];
        if (p->text)
            return GT_FAIL(GT_ERR_DATA, "%s: pieces '%.*s' and '%.*s' have the same id %lld", r->where, (int)p->size,
                           p->text, (int)v->key_length, v->key, (long long)v->integer);
        GT_TRY(take_piece(r, p, v->key, v->key_length, "piece", k));
        if (gt_tokenizer_byte_name(v->key, v->key_length) >= 0) r->kind[v->integer] = GT_PIECE_BYTE;
        GT_TRY(gt_piece_index_add(&r->index, (uint32_t)v->integer, r->where));
    }
    r->model_pieces = r->pieces = n;
    return GT_OK;
}

/* The flag of an added token, false when absent. GT_ERR_DATA unless a boolean. */
static gt_status read_flag(const reader *r, const gt_json *token, const char *name, bool *out)
{
    const gt_json *v = gt_json_get(token, name);
    if (v && v->type != GT_JSON_TRUE && v->type != GT_JSON_FALSE)
        return GT_FAIL(GT_ERR_DATA, "%s: an added token's %s is neither true nor false", r->where, name);
    *out = v && v->type == GT_JSON_TRUE;
    return GT_OK;
}

static gt_status read_added_token(reader *r, const gt_json *token, size_t number)
{
    const gt_json *content = gt_json_get(token, "content"), *id = gt_json_get(token, "id");
    if (!content || content->type != GT_JSON_STRING || !id || !id->is_integer)
        return GT_FAIL(GT_ERR_DATA, "%s: added token %zu lacks its id or its content", r->where, number);
    gt_piece p;
    GT_TRY(take_piece(r, &p, content->string, content->length, "added token", number));
    static const char *const refused[] = {"single_word", "lstrip", "rstrip"};
    bool flag = false, special = false, normalized = false;
    for (int i = 0; i < 3; i++) {
        GT_TRY(read_flag(r, token, refused[i], &flag));
        if (flag)
            return GT_FAIL(GT_ERR_DATA, "%s: added token '%.*s' has %s = true, which is not supported", r->where,
                           (int)p.size, p.text, refused[i]);
    }
    GT_TRY(read_flag(r, token, "special", &special));
    GT_TRY(read_flag(r, token, "normalized", &normalized));

    int64_t known = gt_piece_index_find(&r->index, p.text, p.size);
    if (known < 0) {
        known = (int64_t)r->pieces;
        r->piece[known] = p;
        if (id->integer == known) {
            GT_TRY(gt_piece_index_add(&r->index, (uint32_t)known, r->where));
            r->pieces++;
        }
    }
    if (id->integer != known)
        return GT_FAIL(GT_ERR_DATA, "%s: added token '%.*s' has id %lld, expected %lld", r->where, (int)p.size, p.text,
                       (long long)id->integer, (long long)known);
    if (r->kind[known] & GT_PIECE_ADDED)
        return GT_FAIL(GT_ERR_DATA, "%s: added token '%.*s' is listed twice", r->where, (int)p.size, p.text);
    if (r->kind[known] & GT_PIECE_BYTE)
        return GT_FAIL(GT_ERR_DATA, "%s: byte piece '%.*s' is also an added token", r->where, (int)p.size, p.text);
    const bool control = special || gt_tokenizer_control_name(p.text, p.size);
    if (control && normalized)
        return GT_FAIL(GT_ERR_DATA, "%s: control token '%.*s' has normalized = true, which is not supported", r->where,
                       (int)p.size, p.text);
    r->kind[known] |= (uint8_t)(GT_PIECE_ADDED | (special ? GT_PIECE_SPECIAL : 0) | (control ? GT_PIECE_CONTROL : 0));
    if (normalized) r->norm[r->norms++] = (uint32_t)known;
    return GT_OK;
}

static gt_status read_added(reader *r)
{
    if (is_absent(r->added)) return GT_OK;
    size_t k = 0;
    for (const gt_json *v = r->added->child; v; v = v->next) GT_TRY(read_added_token(r, v, k++));
    return GT_OK;
}

/* The two parts of a merge: ["a", "b"] or "a b". */
static bool split_merge(const gt_json *v, gt_piece part[2])
{
    if (v->type == GT_JSON_ARRAY && v->count == 2) {
        const gt_json *a = v->child, *b = a->next;
        if (a->type != GT_JSON_STRING || b->type != GT_JSON_STRING) return false;
        part[0] = (gt_piece){a->string, a->length};
        part[1] = (gt_piece){b->string, b->length};
        return true;
    }
    if (v->type != GT_JSON_STRING) return false;
    const char *space = memchr(v->string, ' ', v->length);
    if (!space) return false;
    const size_t left = (size_t)(space - v->string), right = v->length - left - 1;
    if (memchr(space + 1, ' ', right)) return false;
    part[0] = (gt_piece){v->string, left};
    part[1] = (gt_piece){space + 1, right};
    return true;
}

/* The model's own piece of this text, or -1: an added token behind the model's pieces takes part in no merge. */
static int64_t model_piece(const reader *r, const char *text, size_t size)
{
    const int64_t id = gt_piece_index_find(&r->index, text, size);
    return id < (int64_t)r->model_pieces ? id : -1;
}

static gt_status read_merge(reader *r, const gt_json *v, size_t number)
{
    gt_piece part[2];
    char joined[2 * GT_TOKENIZER_MAX_PIECE];
    if (!split_merge(v, part)) return GT_FAIL(GT_ERR_DATA, "%s: merge %zu is not two pieces", r->where, number);
    int64_t id[3] = {-1, -1, -1};
    if (part[0].size <= GT_TOKENIZER_MAX_PIECE && part[1].size <= GT_TOKENIZER_MAX_PIECE) {
        memcpy(joined, part[0].text, part[0].size);
        memcpy(joined + part[0].size, part[1].text, part[1].size);
        id[0] = model_piece(r, part[0].text, part[0].size);
        id[1] = model_piece(r, part[1].text, part[1].size);
        id[2] = model_piece(r, joined, part[0].size + part[1].size);
    }
    for (int i = 0; i < 3; i++) {
        if (id[i] < 0)
            return GT_FAIL(GT_ERR_DATA, "%s: merge %zu: its %s is no piece of the vocabulary", r->where, number,
                           i == 0   ? "left part"
                           : i == 1 ? "right part"
                                    : "result");
        if (r->kind[id[i]] &
            GT_PIECE_BYTE) /* bytes stand for characters that are no pieces: they are joined by decoding */
            return GT_FAIL(GT_ERR_DATA, "%s: merge %zu has a byte piece", r->where, number);
    }
    r->merge[number] = (gt_merge){(uint32_t)id[0], (uint32_t)id[1], (uint32_t)id[2]};
    return GT_OK;
}

static gt_status read_merges(reader *r)
{
    if (!r->merges_json || r->merges_json->type != GT_JSON_ARRAY)
        return GT_FAIL(GT_ERR_DATA, "%s: model.merges is not an array", r->where);
    r->merges = r->merges_json->count;
    r->merge = malloc((r->merges ? r->merges : 1) * sizeof *r->merge);
    if (!r->merge) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu merges", r->where, r->merges);
    size_t k = 0;
    for (const gt_json *v = r->merges_json->child; v; v = v->next, k++) GT_TRY(read_merge(r, v, k));
    return GT_OK;
}

/* The id behind {"SpecialToken": {"id": "<bos>", …}}, or -1 for another step. */
static int64_t template_token(const reader *r, const gt_json *step)
{
    const gt_json *name = gt_json_get(gt_json_get(step, "SpecialToken"), "id");
    return name && name->type == GT_JSON_STRING ? gt_piece_index_find(&r->index, name->string, name->length) : -1;
}

/* What the template puts around one text: at most one token before and one behind. */
static gt_status read_post_processor(reader *r, const gt_json *v)
{
    r->post_bos = r->post_eos = -1;
    if (is_absent(v)) return GT_OK;
    const gt_json *single = gt_json_get(v, "single");
    if (!is_type(v, "TemplateProcessing") || !single || single->type != GT_JSON_ARRAY)
        return GT_FAIL(GT_ERR_DATA, "%s: the post_processor is neither null nor a TemplateProcessing", r->where);
    bool text_seen = false, good = true;
    for (const gt_json *step = single->child; step; step = step->next) {
        if (gt_json_get(step, "Sequence")) {
            good = good && !text_seen;
            text_seen = true;
            continue;
        }
        int64_t *slot = text_seen ? &r->post_eos : &r->post_bos;
        good = good && *slot < 0;
        *slot = template_token(r, step);
        good = good && *slot >= 0;
    }
    if (!good || !text_seen)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: the post_processor's template is not a text with at most one known token on each "
                       "side",
                       r->where);
    return GT_OK;
}

static gt_tokenizer_specials find_specials(const reader *r)
{
    gt_tokenizer_specials s = {
        .bos = r->post_bos >= 0 ? (int32_t)r->post_bos : gt_piece_index_added(&r->index, r->kind, "<bos>"),
        .eos = r->post_eos >= 0 ? (int32_t)r->post_eos : gt_piece_index_added(&r->index, r->kind, "<eos>"),
        .pad = gt_piece_index_added(&r->index, r->kind, "<pad>"),
        .unk = gt_piece_index_added(&r->index, r->kind, "<unk>"),
        .start_of_turn = gt_piece_index_added(&r->index, r->kind, "<start_of_turn>"),
        .end_of_turn = gt_piece_index_added(&r->index, r->kind, "<end_of_turn>"),
        .start_of_image = gt_piece_index_added(&r->index, r->kind, "<start_of_image>"),
        .add_bos = r->post_bos >= 0,
        .add_eos = r->post_eos >= 0,
    };
    return s;
}

static gt_status allocate(reader *r)
{
    const size_t added = is_absent(r->added) ? 0 : r->added->count;
    if (!r->vocab || !gt_add_size(r->vocab->count, added, &r->capacity) || r->capacity > GT_TOKENIZER_MAX_PIECES)
        return GT_FAIL(GT_ERR_DATA, "%s: model.vocab is missing, or there are more than %d pieces", r->where,
                       GT_TOKENIZER_MAX_PIECES);
    r->piece = calloc(r->capacity + 1, sizeof *r->piece);
    r->kind = calloc(r->capacity + 1, 1);
    r->norm = calloc(r->capacity + 1, sizeof *r->norm);
    if (!r->piece || !r->kind || !r->norm)
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu pieces", r->where, r->capacity);
    gt_piece_index index = {0};
    GT_TRY(gt_piece_index_create(&index, r->piece, r->capacity));
    r->index = index;
    return GT_OK;
}

static gt_status read_document(reader *r, const gt_json *root, gt_tokenizer **out)
{
    const gt_json *model = gt_json_get(root, "model");
    if (!model || model->type != GT_JSON_OBJECT)
        return GT_FAIL(GT_ERR_DATA, "%s: no tokenizer.json: it has no object \"model\"", r->where);
    GT_TRY(check_model(r, model));
    GT_TRY(check_normalizer(r, gt_json_get(root, "normalizer")));
    GT_TRY(check_pre_tokenizer(r, gt_json_get(root, "pre_tokenizer")));
    GT_TRY(check_decoder(r, gt_json_get(root, "decoder")));
    r->vocab = gt_json_get(model, "vocab");
    r->merges_json = gt_json_get(model, "merges");
    r->added = gt_json_get(root, "added_tokens");
    if (!is_absent(r->added) && r->added->type != GT_JSON_ARRAY)
        return GT_FAIL(GT_ERR_DATA, "%s: added_tokens is not an array", r->where);
    GT_TRY(allocate(r));
    GT_TRY(read_vocab(r));
    GT_TRY(read_added(r));
    GT_TRY(read_merges(r));
    GT_TRY(read_post_processor(r, gt_json_get(root, "post_processor")));
    const gt_tokenizer_parts parts = {
        .piece = r->piece,
        .kind = r->kind,
        .pieces = r->pieces,
        .model_pieces = r->model_pieces,
        .merge = r->merge,
        .merges = r->merges,
        .norm = r->norm,
        .norms = r->norms,
        .specials = find_specials(r),
    };
    return gt_tokenizer_build(out, &parts, r->where);
}

gt_status gt_tokenizer_from_json(gt_tokenizer **out, const char *text, size_t size, const char *where)
{
    gt_json_doc *doc;
    GT_TRY(gt_json_parse_dense(&doc, text, size, where));
    reader r = {.where = where};
    gt_status st = read_document(&r, gt_json_root(doc), out);
    reader_free(&r);
    gt_json_free(doc);
    return st;
}
