/* Messages out of JSON. The reference takes content of other kinds in silence (null gives an empty turn, an unknown
 * item vanishes); a row that loses text unnoticed is worse than one that is refused. */
#include "chat.h"

#include <stdlib.h>
#include <string.h>

static gt_status read_item(gt_chat_item *out, const gt_json *v, size_t message, size_t item)
{
    const gt_json *type = gt_json_get(v, "type"), *text = gt_json_get(v, "text");
    if (gt_json_is_string(type, "image")) {
        *out = (gt_chat_item){.type = GT_CHAT_IMAGE};
        return GT_OK;
    }
    if (!gt_json_is_string(type, "text"))
        return GT_FAIL(GT_ERR_DATA, "message %zu, item %zu: type must be \"text\" or \"image\"", message, item);
    if (!text || text->type != GT_JSON_STRING)
        return GT_FAIL(GT_ERR_DATA, "message %zu, item %zu: an item of type text needs a string \"text\"", message,
                       item);
    *out = (gt_chat_item){GT_CHAT_TEXT, text->string, text->length};
    return GT_OK;
}

/* A member that says something: tables of rows fill the columns that a row lacks with null. */
static bool is_given(const gt_json *message, const char *name)
{
    const gt_json *v = gt_json_get(message, name);
    return v && v->type != GT_JSON_NULL;
}

/* Whether a message is spelled as ShareGPT does it, "from" and "value" for "role" and "content". */
static bool is_sharegpt(const gt_json *message)
{
    return is_given(message, "from") || is_given(message, "value");
}

static const char *content_name(const gt_json *message)
{
    return is_sharegpt(message) ? "value" : "content";
}

static gt_status read_role(gt_chat_message *out, const gt_json *role, size_t number)
{
    if (!role || role->type != GT_JSON_STRING)
        return GT_FAIL(GT_ERR_DATA, "message %zu: \"role\" must be a string", number);
    out->role = role->string;
    out->role_size = role->length;
    return GT_OK;
}

/* "from", under the name that the template knows. Speakers it does not know (tools, observations) are refused: it would
 * print their name as a turn of the model's. */
static gt_status read_speaker(gt_chat_message *out, const gt_json *from, size_t number)
{
    static const struct {
        const char *from, *role;
    } speakers[] = {
        {"human", "user"}, {"user", "user"}, {"gpt", "assistant"}, {"assistant", "assistant"}, {"system", "system"}};
    if (!from || from->type != GT_JSON_STRING)
        return GT_FAIL(GT_ERR_DATA, "message %zu: \"from\" must be a string", number);
    for (size_t i = 0; i < sizeof speakers / sizeof *speakers; i++) {
        if (!gt_json_is_string(from, speakers[i].from)) continue;
        out->role = speakers[i].role;
        out->role_size = strlen(speakers[i].role);
        return GT_OK;
    }
    return GT_FAIL(GT_ERR_DATA, "message %zu is from '%.40s'; expected human, gpt, system, user or assistant", number,
                   from->string);
}

static gt_status read_message(gt_chat_message *out, gt_chat_item *items, const gt_json *v, size_t number)
{
    if (v->type != GT_JSON_OBJECT) return GT_FAIL(GT_ERR_DATA, "message %zu is not an object", number);
    const bool sharegpt = is_sharegpt(v);
    if (sharegpt && (is_given(v, "role") || is_given(v, "content")))
        return GT_FAIL(GT_ERR_DATA,
                       "message %zu has members of both spellings; give \"role\" and \"content\", or \"from\" and "
                       "\"value\"",
                       number);
    const char *name = content_name(v);
    const gt_json *content = gt_json_get(v, name);
    *out = (gt_chat_message){.item = items};
    GT_TRY(sharegpt ? read_speaker(out, gt_json_get(v, "from"), number)
                    : read_role(out, gt_json_get(v, "role"), number));
    if (content && content->type == GT_JSON_STRING) {
        items[0] = (gt_chat_item){GT_CHAT_TEXT, content->string, content->length};
        out->item_count = 1;
        return GT_OK;
    }
    if (!content || content->type != GT_JSON_ARRAY)
        return GT_FAIL(GT_ERR_DATA, "message %zu: Invalid content type: \"%s\" must be a string or a list of items",
                       number, name);
    if (content->count == 0) return GT_FAIL(GT_ERR_DATA, "message %zu: \"%s\" is an empty list", number, name);
    for (const gt_json *i = content->child; i; i = i->next) {
        GT_TRY(read_item(&items[out->item_count], i, number, out->item_count + 1));
        out->item_count++;
    }
    return GT_OK;
}

static size_t items_of(const gt_json *message)
{
    const gt_json *content = gt_json_get(message, content_name(message));
    return content && content->type == GT_JSON_ARRAY ? content->count : 1;
}

gt_status gt_chat_from_json(gt_chat *out, const gt_json *messages)
{
    if (!messages || messages->type != GT_JSON_ARRAY) return GT_FAIL(GT_ERR_DATA, "expected an array of messages");
    gt_chat c = {0};
    size_t items = 0;
    for (const gt_json *m = messages->child; m; m = m->next) items += items_of(m);
    c.message = calloc(messages->count + 1u, sizeof *c.message);
    c.items = calloc(items + 1, sizeof *c.items);
    gt_status st = GT_OK;
    if (!c.message || !c.items) st = GT_FAIL(GT_ERR_NOMEM, "no memory for %u messages", messages->count);
    gt_chat_item *next = c.items;
    for (const gt_json *m = messages->child; m && st == GT_OK; m = m->next) {
        st = read_message(&c.message[c.count], next, m, c.count + 1);
        next += c.message[c.count++].item_count;
    }
    if (st != GT_OK) {
        gt_chat_free(&c);
        return st;
    }
    *out = c;
    return GT_OK;
}

void gt_chat_free(gt_chat *c)
{
    if (!c) return;
    free(c->message);
    free(c->items);
    *c = (gt_chat){0};
}
