/* Special ids, questions about pieces, decoding of a whole text. */
#include "tokenizer.h"

#include "detok.h"
#include "json.h"
#include "tokenizer_blob.h"

#include <stdlib.h>
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

const gt_tokenizer_specials *gt_tokenizer_get_specials(const gt_tokenizer *t)
{
    return &t->specials;
}

gt_status gt_tokenizer_set_specials(gt_tokenizer *t, const gt_tokenizer_specials *s)
{
    const struct {
        const char *name;
        int32_t id;
    } ids[] = {{"bos", s->bos},
               {"eos", s->eos},
               {"pad", s->pad},
               {"unk", s->unk},
               {"start_of_turn", s->start_of_turn},
               {"end_of_turn", s->end_of_turn},
               {"start_of_image", s->start_of_image}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i].id != -1 && !inside(t, ids[i].id))
            return GT_FAIL(GT_ERR_DATA, "the %s token has id %d, outside the vocabulary of %u pieces", ids[i].name,
                           ids[i].id, t->head->pieces);
    if (s->add_bos && s->bos < 0) return GT_FAIL(GT_ERR_DATA, "a bos token is to be added, but none is named");
    if (s->add_eos && s->eos < 0) return GT_FAIL(GT_ERR_DATA, "an eos token is to be added, but none is named");
    t->specials = *s;
    return GT_OK;
}

/* A token of tokenizer_config.json: "…" or {"content": "…"}; null and absent leave *id. */
static gt_status config_token(const gt_tokenizer *t, const gt_json *root, const char *key, int32_t *id,
                              const char *where)
{
    const gt_json *v = gt_json_get(root, key);
    if (!v || v->type == GT_JSON_NULL) return GT_OK;
    if (v->type == GT_JSON_OBJECT) v = gt_json_get(v, "content");
    if (!v || v->type != GT_JSON_STRING)
        return GT_FAIL(GT_ERR_DATA, "%s: %s is neither a string nor an object with \"content\"", where, key);
    const int32_t found = gt_tokenizer_find_added(t, v->string, v->length);
    if (found < 0)
        return GT_FAIL(GT_ERR_DATA, "%s: %s is '%.*s', which is no added token of the vocabulary", where, key,
                       (int)v->length, v->string);
    *id = found;
    return GT_OK;
}

static gt_status config_flag(const gt_json *root, const char *key, bool *flag, const char *where)
{
    const gt_json *v = gt_json_get(root, key);
    if (!v || v->type == GT_JSON_NULL) return GT_OK;
    if (v->type != GT_JSON_TRUE && v->type != GT_JSON_FALSE)
        return GT_FAIL(GT_ERR_DATA, "%s: %s is neither true nor false", where, key);
    *flag = v->type == GT_JSON_TRUE;
    return GT_OK;
}

static gt_status apply_config(gt_tokenizer *t, const gt_json *root, const char *where)
{
    if (root->type != GT_JSON_OBJECT) return GT_FAIL(GT_ERR_DATA, "%s: not a JSON object", where);
    gt_tokenizer_specials s = t->specials;
    GT_TRY(config_token(t, root, "bos_token", &s.bos, where));
    GT_TRY(config_token(t, root, "eos_token", &s.eos, where));
    GT_TRY(config_token(t, root, "pad_token", &s.pad, where));
    GT_TRY(config_token(t, root, "unk_token", &s.unk, where));
    GT_TRY(config_flag(root, "add_bos_token", &s.add_bos, where));
    GT_TRY(config_flag(root, "add_eos_token", &s.add_eos, where));
    return gt_tokenizer_set_specials(t, &s);
}

gt_status gt_tokenizer_apply_config(gt_tokenizer *t, const char *text, size_t size, const char *where)
{
    gt_json_doc *doc;
    GT_TRY(gt_json_parse(&doc, text, size, where));
    gt_status st = apply_config(t, gt_json_root(doc), where);
    gt_json_free(doc);
    return st;
}

gt_status gt_tokenizer_decode(const gt_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, char **out,
                              size_t *size)
{
    for (size_t i = 0; i < n; i++)
        if (!inside(t, ids[i]))
            return GT_FAIL(GT_ERR_DATA, "token %zu has id %d, expected 0 to %u", i, ids[i], t->head->pieces - 1);
    gt_detok *d;
    gt_text all = {0};
    const char *part;
    size_t part_size;
    GT_TRY(gt_detok_create(&d, t, skip_special));
    gt_status st = GT_OK;
    for (size_t i = 0; i < n; i++) {
        GT_TRY_TO(st, gt_detok_push(d, ids[i], &part, &part_size), done);
        gt_text_add(&all, part, part_size);
    }
    GT_TRY_TO(st, gt_detok_finish(d, &part, &part_size), done);
    gt_text_add(&all, part, part_size);
    gt_text_add(&all, "", 0);
    if (all.failed || !all.data) {
        st = GT_FAIL(GT_ERR_NOMEM, "no memory for the text of %zu tokens", n);
        goto done;
    }
    *out = all.data;
    *size = all.size;
    all.data = NULL;
done:
    gt_text_free(&all);
    gt_detok_free(d);
    return st;
}
