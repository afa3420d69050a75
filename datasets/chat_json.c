/* Messages out of JSON. The reference takes content of other kinds in silence (null gives an empty turn, an unknown item
 * vanishes); a row that loses text unnoticed is worse than one that is refused. */
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

static gt_status read_message(gt_chat_message *out, gt_chat_item *items, const gt_json *v, size_t number)
{
    const gt_json *role = gt_json_get(v, "role"), *content = gt_json_get(v, "content");
    if (v->type != GT_JSON_OBJECT) return GT_FAIL(GT_ERR_DATA, "message %zu is not an object", number);
    if (!role || role->type != GT_JSON_STRING)
        return GT_FAIL(GT_ERR_DATA, "message %zu: \"role\" must be a string", number);
    *out = (gt_chat_message){.role = role->string, .role_size = role->length, .item = items};
    if (content && content->type == GT_JSON_STRING) {
        items[0] = (gt_chat_item){GT_CHAT_TEXT, content->string, content->length};
        out->item_count = 1;
        return GT_OK;
    }
    if (!content || content->type != GT_JSON_ARRAY)
        return GT_FAIL(GT_ERR_DATA,
                       "message %zu: Invalid content type: \"content\" must be a string or a list of items", number);
    if (content->count == 0) return GT_FAIL(GT_ERR_DATA, "message %zu: \"content\" is an empty list", number);
    for (const gt_json *i = content->child; i; i = i->next) {
        GT_TRY(read_item(&items[out->item_count], i, number, out->item_count + 1));
        out->item_count++;
    }
    return GT_OK;
}

static size_t items_of(const gt_json *message)
{
    const gt_json *content = gt_json_get(message, "content");
    return content && content->type == GT_JSON_ARRAY ? content->count : 1;
}

gt_status gt_chat_from_json(gt_chat *out, const gt_json *messages)
{
    if (!messages || messages->type != GT_JSON_ARRAY)
        return GT_FAIL(GT_ERR_DATA, "\"messages\" must be an array of messages");
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
