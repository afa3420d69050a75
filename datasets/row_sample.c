#include "row_sample.h"

#include "chat.h"
#include "choice.h"
#include "supervise.h"

#include <stdlib.h>
#include <string.h>

enum { GEMMA_BOS = 2 }; /* for rows of ids beside a model without a tokenizer */

typedef struct {
    const gt_json *row;
    const gt_load_options *o;
    const gt_tokenizer *tok;
    gt_row_notes *notes;
} maker;

static bool has(const gt_json *row, const char *name)
{
    return gt_json_get(row, name) != NULL;
}

static bool is_text(const gt_json *v)
{
    return v && v->type == GT_JSON_STRING;
}

/* A member that must be a string that is not empty. */
static gt_status get_text(const gt_json **out, const gt_json *row, const char *name)
{
    const gt_json *v = gt_json_get(row, name);
    if (!is_text(v)) return GT_FAIL(GT_ERR_DATA, "'%s' is %s; expected a string", name, v ? "no string" : "absent");
    if (v->length == 0) return GT_FAIL(GT_ERR_DATA, "'%s' is empty", name);
    *out = v;
    return GT_OK;
}

static gt_status finish(gt_sample *out, const maker *k, const gt_supervision *s)
{
    gt_supervision whole = *s;
    const gt_token_span all = {0, s->count};
    if (k->o->supervise == GT_SUPERVISE_ALL && !k->o->assistant_only) {
        whole.span = &all;
        whole.spans = 1;
    }
    whole.max_length = k->o->max_length;
    return gt_supervise_sample(out, &whole);
}

static gt_status check_bos(const maker *k, const gt_ids *ids)
{
    return gt_supervise_check_bos(ids->id, ids->count, gt_tokenizer_get_specials(k->tok)->bos);
}

/* Tokens as they are. */

static gt_status read_ids(gt_ids *ids, const gt_json *list)
{
    if (list->type != GT_JSON_ARRAY) return GT_FAIL(GT_ERR_DATA, "'ids' is no array of token ids");
    for (const gt_json *v = list->child; v; v = v->next) {
        if (!v->is_integer || v->integer < 0 || v->integer > INT32_MAX)
            return GT_FAIL(GT_ERR_DATA, "'ids'[%zu] is no token id; expected an integer from 0 to %d", ids->count,
                           INT32_MAX);
        GT_TRY(gt_ids_push(ids, (int32_t)v->integer, 0));
    }
    return GT_OK;
}

static gt_status supervise_ids(gt_sample *out, const maker *k, const gt_ids *ids)
{
    const gt_json *prompt = gt_json_get(k->row, "prompt_tokens");
    size_t begin = 0;
    if (k->o->assistant_only)
        return GT_FAIL(GT_ERR_DATA, "assistant_only_loss needs conversations; this row holds token ids");
    if (prompt) {
        if (!prompt->is_integer || prompt->integer < 0 || (uint64_t)prompt->integer > ids->count)
            return GT_FAIL(GT_ERR_DATA, "'prompt_tokens' is no integer from 0 to the row's %zu tokens", ids->count);
        begin = (size_t)prompt->integer;
    } else if (k->o->supervise == GT_SUPERVISE_COMPLETION)
        return GT_FAIL(GT_ERR_DATA, "completion_only_loss needs 'prompt_tokens' beside 'ids'");
    if (!k->o->keep_unsupervised) /* scoring takes ids as they come */
        GT_TRY(gt_supervise_check_bos(ids->id, ids->count,
                                      k->tok ? gt_tokenizer_get_specials(k->tok)->bos : (int32_t)GEMMA_BOS));
    const gt_token_span span = {begin, ids->count};
    return finish(out, k, &(gt_supervision){ids->id, ids->count, &span, 1, begin, 0});
}

static gt_status from_ids(gt_sample *out, const maker *k)
{
    gt_ids ids = {0};
    gt_status st = read_ids(&ids, gt_json_get(k->row, "ids"));
    if (st == GT_OK) st = supervise_ids(out, k, &ids);
    gt_ids_free(&ids);
    return st;
}

/* Plain text. */

static unsigned text_flags(const maker *k)
{
    return GT_ENCODE_ADD_BOS | GT_ENCODE_ONE_BOS | (k->o->parse_special ? GT_ENCODE_PARSE_SPECIAL : 0u);
}

static gt_status encode_text(gt_ids *ids, const maker *k, const char *text, size_t size)
{
    GT_TRY(gt_tokenizer_encode(k->tok, text, size, text_flags(k) | GT_ENCODE_END_TEXT, ids));
    k->notes->bos_stripped += ids->bos_stripped;
    return check_bos(k, ids);
}

static gt_status refuse_assistant_only(const maker *k)
{
    if (!k->o->assistant_only) return GT_OK;
    return GT_FAIL(GT_ERR_DATA, "assistant_only_loss needs conversations; this row is plain text");
}

static gt_status from_text(gt_sample *out, const maker *k)
{
    const gt_json *text;
    gt_ids ids = {0};
    GT_TRY(get_text(&text, k->row, "text"));
    GT_TRY(refuse_assistant_only(k));
    if (k->o->supervise == GT_SUPERVISE_COMPLETION)
        return GT_FAIL(GT_ERR_DATA, "completion_only_loss needs 'prompt' and 'completion'; this row has 'text'");
    gt_status st = encode_text(&ids, k, text->string, text->length);
    const gt_token_span all = {0, ids.count};
    if (st == GT_OK) st = finish(out, k, &(gt_supervision){ids.id, ids.count, &all, 1, 0, 0});
    gt_ids_free(&ids);
    return st;
}

static gt_status encode_joined(gt_ids *ids, const maker *k, const gt_json *prompt, const gt_json *completion)
{
    gt_text text = {0};
    gt_text_add(&text, prompt->string, prompt->length);
    gt_text_add(&text, completion->string, completion->length);
    gt_status st =
        text.failed ? GT_FAIL(GT_ERR_NOMEM, "no memory for a row") : encode_text(ids, k, text.data, text.size);
    gt_text_free(&text);
    return st;
}

/* As TRL: the completion begins behind as many tokens as the prompt alone has, whether or not they are its first ones.
 */
static gt_status from_prompt_text(gt_sample *out, const maker *k, const gt_json *prompt, const gt_json *completion)
{
    gt_ids whole = {0}, head = {0};
    GT_TRY(refuse_assistant_only(k));
    if (completion->length == 0) return GT_FAIL(GT_ERR_DATA, "'completion' is empty");
    gt_status st = encode_joined(&whole, k, prompt, completion);
    if (st == GT_OK) st = gt_tokenizer_encode(k->tok, prompt->string, prompt->length, text_flags(k), &head);
    if (st == GT_OK) {
        if (head.count > whole.count || memcmp(head.id, whole.id, head.count * sizeof *head.id) != 0)
            k->notes->joint_tokens++;
        const gt_token_span span = {head.count, whole.count};
        st = finish(out, k, &(gt_supervision){whole.id, whole.count, &span, 1, head.count, 0});
    }
    gt_ids_free(&whole);
    gt_ids_free(&head);
    return st;
}

/* Chats. */

static unsigned chat_flags(const maker *k)
{
    return k->o->parse_special ? GT_CHAT_PARSE_SPECIAL : 0u;
}

/* The assistant's turns from message `from` on, all of them or the last. */
static gt_status supervise_turns(gt_sample *out, const maker *k, const gt_chat_tokens *c, size_t from)
{
    gt_token_span *span = calloc(c->turn_count + 1, sizeof *span);
    if (!span) return GT_FAIL(GT_ERR_NOMEM, "no memory for a row");
    gt_supervision s = {c->ids.id, c->ids.count, span, 0, 0, 0};
    for (size_t i = 0; i < c->turn_count; i++) {
        if (c->turn[i].message < from) continue;
        if (!k->o->assistant_only) s.spans = 0;
        span[s.spans++] = (gt_token_span){c->turn[i].begin, c->turn[i].end};
        s.prompt_tokens = c->turn[i].begin;
    }
    gt_status st = check_bos(k, &c->ids);
    if (st == GT_OK) st = finish(out, k, &s);
    free(span);
    return st;
}

static gt_status from_messages_in(gt_sample *out, const maker *k, const char *name)
{
    gt_chat chat;
    gt_chat_tokens tokens;
    if (gt_chat_from_json(&chat, gt_json_get(k->row, name)) != GT_OK) return gt_error_prefix("'%s'", name);
    gt_status st = gt_chat_encode(k->tok, chat.message, chat.count, chat_flags(k), &tokens);
    if (st == GT_OK) {
        st = supervise_turns(out, k, &tokens, 0);
        gt_chat_tokens_free(&tokens);
    }
    gt_chat_free(&chat);
    return st;
}

static gt_status from_messages(gt_sample *out, const maker *k)
{
    return from_messages_in(out, k, "messages");
}

static gt_status from_conversations(gt_sample *out, const maker *k)
{
    return from_messages_in(out, k, "conversations");
}

/* What lies behind the prompt and its generation header is the completion, later users' turns included, as in TRL. */
static gt_status supervise_completion(gt_sample *out, const maker *k, const gt_chat_tokens *whole,
                                      const gt_chat_tokens *head, size_t prompt_messages)
{
    const size_t n = head->ids.count;
    if (n > whole->ids.count || memcmp(head->ids.id, whole->ids.id, n * sizeof *head->ids.id) != 0)
        return GT_FAIL(GT_ERR_DATA, "'completion' does not begin with an assistant's message");
    if (k->o->assistant_only)
        return supervise_turns(out, k, whole, k->o->supervise == GT_SUPERVISE_ALL ? 0 : prompt_messages);
    const gt_token_span span = {n, whole->ids.count};
    GT_TRY(check_bos(k, &whole->ids));
    return finish(out, k, &(gt_supervision){whole->ids.id, whole->ids.count, &span, 1, n, 0});
}

static gt_status from_chats(gt_sample *out, const maker *k, const gt_chat *prompt, const gt_chat *completion)
{
    const size_t n = prompt->count + completion->count;
    gt_chat_message *all = calloc(n + 1, sizeof *all);
    gt_chat_tokens whole = {0}, head = {0};
    if (!all) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu messages", n);
    memcpy(all, prompt->message, prompt->count * sizeof *all);
    memcpy(all + prompt->count, completion->message, completion->count * sizeof *all);
    gt_status st = gt_chat_encode(k->tok, all, n, chat_flags(k), &whole);
    if (st == GT_OK) st = gt_chat_encode(k->tok, all, prompt->count, chat_flags(k) | GT_CHAT_GENERATION_PROMPT, &head);
    if (st == GT_OK) st = supervise_completion(out, k, &whole, &head, prompt->count);
    gt_chat_tokens_free(&whole);
    gt_chat_tokens_free(&head);
    free(all);
    return st;
}

static gt_status from_prompt_chats(gt_sample *out, const maker *k, const gt_json *prompt, const gt_json *completion)
{
    gt_chat p, c;
    if (gt_chat_from_json(&p, prompt) != GT_OK) return gt_error_prefix("'prompt'");
    gt_status st = gt_chat_from_json(&c, completion);
    if (st != GT_OK)
        gt_error_prefix("'completion'");
    else {
        st = c.count > 0 ? from_chats(out, k, &p, &c) : GT_FAIL(GT_ERR_DATA, "'completion' is empty");
        gt_chat_free(&c);
    }
    gt_chat_free(&p);
    return st;
}

static gt_status from_prompt(gt_sample *out, const maker *k)
{
    const gt_json *p = gt_json_get(k->row, "prompt"), *c = gt_json_get(k->row, "completion");
    if (is_text(p) && is_text(c)) return from_prompt_text(out, k, p, c);
    if (p->type == GT_JSON_ARRAY && c->type == GT_JSON_ARRAY) return from_prompt_chats(out, k, p, c);
    return GT_FAIL(GT_ERR_DATA, "'prompt' and 'completion' are not two strings and not two lists of messages");
}

/* One question, one answer. */
static gt_status from_turn(gt_sample *out, const maker *k, const gt_text *user, const gt_text *assistant)
{
    if (user->failed || assistant->failed) return GT_FAIL(GT_ERR_NOMEM, "no memory for a row");
    const gt_chat_item item[2] = {{GT_CHAT_TEXT, user->data, user->size},
                                  {GT_CHAT_TEXT, assistant->data, assistant->size}};
    const gt_chat_message message[2] = {{"user", 4, &item[0], 1}, {"assistant", 9, &item[1], 1}};
    gt_chat_tokens tokens;
    GT_TRY(gt_chat_encode(k->tok, message, 2, chat_flags(k), &tokens));
    gt_status st = supervise_turns(out, k, &tokens, 0);
    gt_chat_tokens_free(&tokens);
    return st;
}

static gt_status from_choice(gt_sample *out, const maker *k)
{
    gt_choice c;
    gt_text user = {0}, assistant = {0};
    GT_TRY(gt_choice_read(&c, k->row));
    gt_choice_prompt(&user, &c);
    gt_choice_answer(&assistant, &c);
    gt_status st = from_turn(out, k, &user, &assistant);
    if (st == GT_OK) {
        out->choices = c.count;
        out->answer = c.answer;
        const gt_json *cot = gt_json_get(k->row, "cot");
        k->notes->explained += is_text(cot) && cot->length > 0;
    }
    gt_text_free(&user);
    gt_text_free(&assistant);
    return st;
}

static gt_status from_alpaca(gt_sample *out, const maker *k)
{
    const gt_json *instruction, *output, *input = gt_json_get(k->row, "input");
    GT_TRY(get_text(&instruction, k->row, "instruction"));
    GT_TRY(get_text(&output, k->row, "output"));
    if (input && !is_text(input) && input->type != GT_JSON_NULL)
        return GT_FAIL(GT_ERR_DATA, "'input' is no string; expected a string, null or nothing");
    gt_text user = {0}, assistant = {0};
    gt_text_add(&user, instruction->string, instruction->length);
    if (is_text(input) && input->length > 0) {
        gt_text_add(&user, "\n\n", 2);
        gt_text_add(&user, input->string, input->length);
    }
    gt_text_add(&assistant, output->string, output->length);
    gt_status st = from_turn(out, k, &user, &assistant);
    gt_text_free(&user);
    gt_text_free(&assistant);
    return st;
}

static gt_status fail_unknown(const gt_json *row)
{
    gt_text names = {0};
    int shown = 0;
    for (const gt_json *m = row->child; m && shown < 8; m = m->next, shown++) {
        gt_text_add(&names, m == row->child ? "" : ", ", m == row->child ? 0 : 2);
        gt_text_add_json_string(&names, m->key, m->key_length < 40 ? m->key_length : 40);
    }
    gt_status st =
        GT_FAIL(GT_ERR_DATA,
                "no known row format: has %s%s; expected messages or conversations, prompt and completion, text, "
                "instruction and output, question with options (or A, B ...) and answer, or ids",
                row->child && names.data ? names.data : "no member", row->count > 8 ? ", ..." : "");
    gt_text_free(&names);
    return st;
}

gt_status gt_row_sample(gt_sample *out, const gt_json *row, const gt_load_options *o, const gt_tokenizer *tok,
                        gt_row_notes *notes)
{
    const maker k = {row, o, tok, notes};
    if (row->type != GT_JSON_OBJECT) return GT_FAIL(GT_ERR_DATA, "a row is a JSON object");
    if (has(row, "ids")) return from_ids(out, &k);
    gt_status (*from)(gt_sample *, const maker *) = NULL;
    if (has(row, "messages"))
        from = from_messages;
    else if (has(row, "conversations"))
        from = from_conversations;
    else if (has(row, "prompt") && has(row, "completion"))
        from = from_prompt;
    else if (gt_choice_is(row))
        from = from_choice;
    else if (has(row, "instruction") && has(row, "output"))
        from = from_alpaca;
    else if (has(row, "text"))
        from = from_text;
    if (!from) return fail_unknown(row);
    if (!tok)
        return GT_FAIL(GT_ERR_CONFIG,
                       "rows of text need a tokenizer, and the model has none; put its tokenizer.json beside "
                       "it, or give rows of ids");
    return from(out, &k);
}
