/* Rendering keeps book of which bytes are the template's own (only these may become control tokens) and where each
 * assistant's turn lies; the text is then encoded as one, and the spans of bytes become spans of tokens. */
#include "chat.h"

#include "checked.h"

#include <stdlib.h>
#include <string.h>

static const char START[] = "<start_of_turn>", END[] = "<end_of_turn>", IMAGE[] = "<start_of_image>";

/* Python's str.strip(). */
static bool is_stripped(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static void strip(const char **text, size_t *size)
{
    const char *begin = *text, *end = begin + *size;
    uint32_t c;
    for (int n; begin < end && (n = gt_utf8_decode(begin, (size_t)(end - begin), &c)) > 0 && is_stripped(c);)
        begin += n;
    while (end > begin) {
        const char *last = end - 1;
        while (last > begin && ((unsigned char)*last & 0xC0) == 0x80) last--;
        if (gt_utf8_decode(last, (size_t)(end - last), &c) != end - last || !is_stripped(c)) break;
        end = last;
    }
    *text = begin;
    *size = (size_t)(end - begin);
}

/* The text with what is known about it. */
typedef struct {
    gt_text text;
    gt_text_span *trusted; /* owned: the template's own bytes */
    size_t trusted_count, trusted_capacity;
    gt_text_span *answer; /* owned: bytes of each assistant's labels */
    size_t *answer_message;
    size_t answers;
} rendering;

static void rendering_free(rendering *r)
{
    gt_text_free(&r->text);
    free(r->trusted);
    free(r->answer);
    free(r->answer_message);
}

static gt_status out_of_memory(size_t messages)
{
    return GT_FAIL(GT_ERR_NOMEM, "no memory for a conversation of %zu messages", messages);
}

static void add(rendering *r, const char *text, size_t size)
{
    gt_text_add(&r->text, text, size);
}

/* Adds a text of the template's own. */
static void add_own(rendering *r, const char *text)
{
    const size_t begin = r->text.size;
    add(r, text, strlen(text));
    if (r->trusted_count && r->trusted[r->trusted_count - 1].end == begin) {
        r->trusted[r->trusted_count - 1].end = r->text.size;
        return;
    }
    if (r->trusted_count == r->trusted_capacity) {
        const size_t more = r->trusted_capacity ? 2 * r->trusted_capacity : 16;
        gt_text_span *grown = realloc(r->trusted, more * sizeof *grown);
        if (!grown) {
            r->text.failed = true;
            return;
        }
        r->trusted = grown;
        r->trusted_capacity = more;
    }
    r->trusted[r->trusted_count++] = (gt_text_span){begin, r->text.size};
}

static bool role_is(const gt_chat_message *m, const char *role)
{
    return m->role_size == strlen(role) && memcmp(m->role, role, m->role_size) == 0;
}

static gt_status add_content(rendering *r, const gt_chat_message *m, size_t number)
{
    if (m->item_count == 0) return GT_FAIL(GT_ERR_DATA, "message %zu has no content", number);
    for (size_t i = 0; i < m->item_count; i++) {
        const char *text = m->item[i].text;
        size_t size = m->item[i].size;
        if (m->item[i].type == GT_CHAT_IMAGE) {
            add_own(r, IMAGE);
            continue;
        }
        strip(&text, &size);
        add(r, text, size);
    }
    return GT_OK;
}

/* A first message of role system: its text, untrimmed, and two newlines; of a list only the first item. */
static gt_status find_prefix(const gt_chat_message *m, const char **prefix, size_t *size)
{
    if (m->item_count == 0) return GT_FAIL(GT_ERR_DATA, "message 1 has no content");
    if (m->item[0].type != GT_CHAT_TEXT)
        return GT_FAIL(GT_ERR_DATA, "message 1: the first item of a system message must be text, not an image");
    *prefix = m->item[0].text;
    *size = m->item[0].size;
    return GT_OK;
}

static gt_status add_turn(rendering *r, const gt_chat_message *m, size_t index, bool user_turn, const char *prefix,
                          size_t prefix_size)
{
    if (role_is(m, "user") != user_turn)
        return GT_FAIL(GT_ERR_DATA,
                       "message %zu has role '%.*s': Conversation roles must alternate "
                       "user/assistant/user/assistant/...",
                       index + 1, (int)gt_min_size(m->role_size, 40), m->role);
    const bool assistant = role_is(m, "assistant");
    add_own(r, START);
    if (assistant)
        add(r, "model", 5);
    else
        add(r, m->role, m->role_size);
    add_own(r, "\n");
    if (prefix) {
        add(r, prefix, prefix_size);
        add_own(r, "\n\n");
    }
    const size_t begin = r->text.size;
    GT_TRY(add_content(r, m, index + 1));
    add_own(r, END);
    add_own(r, "\n");
    if (assistant) {
        r->answer[r->answers] = (gt_text_span){begin, r->text.size};
        r->answer_message[r->answers++] = index;
    }
    return GT_OK;
}

static bool has_image(const gt_chat_message *message, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < message[i].item_count; k++)
            if (message[i].item[k].type == GT_CHAT_IMAGE) return true;
    return false;
}

static gt_status check_vocabulary(const gt_tokenizer *t, const gt_chat_message *message, size_t count)
{
    const gt_tokenizer_specials *s = gt_tokenizer_get_specials(t);
    const char *missing = s->bos < 0 ? "a bos token" : s->start_of_turn < 0 ? START : s->end_of_turn < 0 ? END : NULL;
    if (!missing && s->start_of_image < 0 && has_image(message, count)) missing = IMAGE;
    if (!missing) return GT_OK;
    return GT_FAIL(GT_ERR_DATA, "this vocabulary has no %s, so the chat template cannot be applied; use plain text",
                   missing);
}

static gt_status render(const gt_tokenizer *t, const gt_chat_message *message, size_t count, unsigned flags,
                        rendering *r)
{
    if (count == 0)
        return GT_FAIL(GT_ERR_DATA,
                       "Cannot apply chat template to an empty conversation. Provide at least one message.");
    GT_TRY(check_vocabulary(t, message, count));
    r->answer = calloc(count, sizeof *r->answer);
    r->answer_message = calloc(count, sizeof *r->answer_message);
    if (!r->answer || !r->answer_message) return out_of_memory(count);

    char bos[GT_TOKENIZER_MAX_PIECE + 1];
    size_t bos_size;
    const char *piece = gt_tokenizer_piece(t, gt_tokenizer_get_specials(t)->bos, &bos_size);
    memcpy(bos, piece, bos_size);
    bos[bos_size] = '\0';
    add_own(r, bos);
    const char *prefix = NULL;
    size_t prefix_size = 0, first = 0;
    if (role_is(&message[0], "system")) {
        GT_TRY(find_prefix(&message[0], &prefix, &prefix_size));
        first = 1;
    }
    for (size_t i = first; i < count; i++) {
        GT_TRY(add_turn(r, &message[i], i, (i - first) % 2 == 0, prefix, prefix_size));
        prefix = NULL;
    }
    if (flags & GT_CHAT_GENERATION_PROMPT) {
        add_own(r, START);
        add_own(r, "model\n");
    }
    return r->text.failed ? out_of_memory(count) : GT_OK;
}

/* The first token at or behind `from` that ends behind byte `place`: tokens of no width are passed over. */
static size_t token_covering(const gt_ids *ids, size_t from, size_t place, size_t text_size)
{
    size_t i = from;
    while (i < ids->count && (i + 1 < ids->count ? ids->begin[i + 1] : text_size) <= place) i++;
    return i;
}

static gt_status find_turns(gt_chat_tokens *c, const rendering *r, size_t count)
{
    c->turn = calloc(r->answers ? r->answers : 1, sizeof *c->turn);
    if (!c->turn) return out_of_memory(count);
    size_t from = 0;
    for (size_t i = 0; i < r->answers; i++) {
        gt_chat_turn *turn = &c->turn[c->turn_count++];
        turn->message = r->answer_message[i];
        turn->begin = token_covering(&c->ids, from, r->answer[i].begin, r->text.size);
        from = token_covering(&c->ids, turn->begin, r->answer[i].end - 1, r->text.size);
        turn->end = from + 1;
    }
    c->ends_with_assistant = r->answers && c->turn[r->answers - 1].message + 1 == count;
    if (c->ends_with_assistant) c->prompt_tokens = c->turn[r->answers - 1].begin;
    return GT_OK;
}

gt_status gt_chat_encode(const gt_tokenizer *t, const gt_chat_message *message, size_t count, unsigned flags,
                         gt_chat_tokens *out)
{
    rendering r = {0};
    gt_chat_tokens c = {.ids = {.keep_begin = true}};
    gt_status st;
    *out = (gt_chat_tokens){0};
    GT_TRY_TO(st, render(t, message, count, flags, &r), done);
    GT_TRY_TO(st,
              gt_tokenizer_encode_spans(t, r.text.data, r.text.size,
                                        flags & GT_CHAT_PARSE_SPECIAL ? GT_ENCODE_PARSE_SPECIAL : 0, r.trusted,
                                        r.trusted_count, &c.ids),
              done);
    GT_TRY_TO(st, find_turns(&c, &r, count), done);
    *out = c;
    c = (gt_chat_tokens){0};
done:
    gt_chat_tokens_free(&c);
    rendering_free(&r);
    return st;
}

gt_status gt_chat_render(const gt_tokenizer *t, const gt_chat_message *message, size_t count, unsigned flags,
                         gt_text *out)
{
    rendering r = {0};
    gt_status st = render(t, message, count, flags, &r);
    if (st == GT_OK) {
        gt_text_add(out, r.text.data, r.text.size);
        if (out->failed) st = out_of_memory(count);
    }
    rendering_free(&r);
    return st;
}

void gt_chat_tokens_free(gt_chat_tokens *c)
{
    if (!c) return;
    gt_ids_free(&c->ids);
    free(c->turn);
    *c = (gt_chat_tokens){0};
}
