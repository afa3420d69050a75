#include "tokenize_lines.h"

#include "chat.h"
#include "detok.h"

#include <stdlib.h>
#include <string.h>

static void add_ids(gt_text *out, const gt_ids *ids)
{
    gt_text_add(out, "{\"ids\":[", 8);
    for (size_t i = 0; i < ids->count; i++) gt_text_addf(out, i ? ",%d" : "%d", ids->id[i]);
    gt_text_add(out, "]", 1);
}

static gt_status need(const gt_json *root, const char *key, gt_json_type type, const char *kind, const gt_json **out)
{
    const gt_json *v = gt_json_get(root, key);
    if (!v || v->type != type) return GT_FAIL(GT_ERR_DATA, "expected an object with \"%s\", %s", key, kind);
    *out = v;
    return GT_OK;
}

static gt_status answer_text(const gt_tokenizer *t, const gt_tokenize_options *o, const gt_json *root, gt_text *out)
{
    const gt_json *text = NULL;
    gt_ids ids = {0};
    GT_TRY(need(root, "text", GT_JSON_STRING, "a string", &text));
    const unsigned flags = GT_ENCODE_DEFAULT | (o->parse_special ? GT_ENCODE_PARSE_SPECIAL : 0);
    gt_status st = gt_tokenizer_encode(t, text->string, text->length, flags, &ids);
    if (st == GT_OK) {
        add_ids(out, &ids);
        gt_text_add(out, "}\n", 2);
    }
    gt_ids_free(&ids);
    return st;
}

static gt_status answer_chat(const gt_tokenizer *t, const gt_tokenize_options *o, const gt_json *root, gt_text *out)
{
    const gt_json *messages = NULL;
    gt_chat chat;
    gt_chat_tokens tokens;
    GT_TRY(need(root, "messages", GT_JSON_ARRAY, "an array", &messages));
    GT_TRY(gt_chat_from_json(&chat, messages));
    const unsigned flags =
        (o->parse_special ? GT_CHAT_PARSE_SPECIAL : 0) | (o->add_generation_prompt ? GT_CHAT_GENERATION_PROMPT : 0);
    gt_status st = gt_chat_encode(t, chat.message, chat.count, flags, &tokens);
    if (st == GT_OK) {
        add_ids(out, &tokens.ids);
        if (tokens.ends_with_assistant && !o->add_generation_prompt)
            gt_text_addf(out, ",\"prompt_tokens\":%zu", tokens.prompt_tokens);
        gt_text_add(out, "}\n", 2);
    }
    gt_chat_tokens_free(&tokens);
    gt_chat_free(&chat);
    return st;
}

static gt_status read_ids(const gt_json *list, gt_ids *ids)
{
    for (const gt_json *v = list->child; v; v = v->next) {
        if (!v->is_integer || v->integer < 0 || v->integer > INT32_MAX)
            return GT_FAIL(GT_ERR_DATA, "element %zu of \"ids\" is not a token id", ids->count);
        GT_TRY(gt_ids_push(ids, (int32_t)v->integer, 0));
    }
    return GT_OK;
}

static gt_status answer_decode(const gt_tokenizer *t, const gt_json *root, gt_text *out)
{
    const gt_json *list = NULL;
    gt_ids ids = {0};
    char *text;
    size_t size;
    GT_TRY(need(root, "ids", GT_JSON_ARRAY, "an array of token ids", &list));
    gt_status st = read_ids(list, &ids);
    if (st == GT_OK) st = gt_tokenizer_decode(t, ids.id, ids.count, false, &text, &size);
    gt_ids_free(&ids);
    if (st != GT_OK) return st;
    gt_text_add(out, "{\"text\":", 8);
    gt_text_add_json_string(out, text, size);
    gt_text_add(out, "}\n", 2);
    free(text);
    return GT_OK;
}

static gt_status answer(const gt_tokenizer *t, const gt_tokenize_options *o, const char *line, size_t size,
                        gt_text *out)
{
    gt_json_doc *doc;
    GT_TRY(gt_json_parse(&doc, line, size, "JSON"));
    const gt_json *root = gt_json_root(doc);
    gt_status st = GT_OK;
    switch (o->mode) {
    case GT_TOKENIZE_TEXT:
        st = answer_text(t, o, root, out);
        break;
    case GT_TOKENIZE_CHAT:
        st = answer_chat(t, o, root, out);
        break;
    case GT_TOKENIZE_DECODE:
        st = answer_decode(t, root, out);
        break;
    }
    gt_json_free(doc);
    return st;
}

static gt_status add_error(gt_text *out, uint64_t number, const char *words)
{
    gt_text message = {0};
    gt_text_addf(&message, "line %llu: %s", (unsigned long long)number, words);
    gt_text_add(out, "{\"error\":", 9);
    if (message.data) gt_text_add_json_string(out, message.data, message.size);
    gt_text_add(out, "}\n", 2);
    const bool failed = message.failed || out->failed;
    gt_text_free(&message);
    return failed ? GT_FAIL(GT_ERR_NOMEM, "line %llu: no memory for an answer", (unsigned long long)number) : GT_OK;
}

/* Answers a line (without its newline) by a line. Only GT_ERR_NOMEM fails: whatever else is wrong is an error line. */
static gt_status tokenize_line(const gt_tokenizer *t, const gt_tokenize_options *o, const char *line, size_t size,
                               uint64_t number, gt_text *out, bool *is_error)
{
    gt_status st = answer(t, o, line, size, out);
    *is_error = st != GT_OK;
    if (st == GT_OK)
        return out->failed ? GT_FAIL(GT_ERR_NOMEM, "line %llu: no memory for an answer", (unsigned long long)number)
                           : GT_OK;
    if (st == GT_ERR_NOMEM) return gt_error_prefix("line %llu", (unsigned long long)number);
    return add_error(out, number, gt_error_last()->message);
}

/* The lines of a stream: a buffer that holds the unfinished one. */
typedef struct {
    const gt_tokenizer *t;
    const gt_tokenize_options *o;
    const gt_tokenize_io *io;
    gt_text line, out;
    bool too_long; /* the unfinished line is, its rest is passed over */
    uint64_t number, errors;
} stream;

static gt_status end_line(stream *s)
{
    bool is_error = true;
    s->number++;
    gt_text_clear(&s->out);
    if (s->too_long)
        GT_TRY(add_error(&s->out, s->number, "longer than 64 MiB"));
    else
        GT_TRY(
            tokenize_line(s->t, s->o, s->line.data ? s->line.data : "", s->line.size, s->number, &s->out, &is_error));
    s->errors += is_error;
    gt_text_clear(&s->line);
    s->too_long = false;
    return s->io->write(s->io->user, s->out.data, s->out.size);
}

static gt_status take(stream *s, const char *bytes, size_t size)
{
    while (size) {
        const char *end = memchr(bytes, '\n', size);
        const size_t part = end ? (size_t)(end - bytes) : size;
        if (s->line.size + part > GT_TOKENIZE_MAX_LINE) s->too_long = true;
        if (s->too_long)
            gt_text_clear(&s->line);
        else
            gt_text_add(&s->line, bytes, part);
        if (s->line.failed) return GT_FAIL(GT_ERR_NOMEM, "no memory for line %llu", (unsigned long long)s->number + 1);
        if (!end) return GT_OK;
        GT_TRY(end_line(s));
        bytes += part + 1;
        size -= part + 1;
    }
    return GT_OK;
}

static gt_status run(stream *s, char *buffer, size_t capacity)
{
    for (size_t got;;) {
        GT_TRY(s->io->read(s->io->user, buffer, capacity, &got));
        if (got == 0) break;
        GT_TRY(take(s, buffer, got));
    }
    return s->line.size || s->too_long ? end_line(s) : GT_OK; /* a last line without its newline */
}

gt_status gt_tokenize_lines(const gt_tokenizer *t, const gt_tokenize_options *o, const gt_tokenize_io *io,
                            uint64_t *errors)
{
    enum { BUFFER = 1 << 16 };
    stream s = {.t = t, .o = o, .io = io};
    char *buffer = malloc(BUFFER);
    gt_status st = buffer ? run(&s, buffer, BUFFER) : GT_FAIL(GT_ERR_NOMEM, "no memory to read lines");
    free(buffer);
    gt_text_free(&s.line);
    gt_text_free(&s.out);
    if (st == GT_OK) *errors = s.errors;
    return st;
}
