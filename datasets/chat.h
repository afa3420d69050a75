/* chat.h - Gemma 3's chat template: messages to text, ids, and the tokens that an answer's loss is taken over.
 *
 *   <bos><start_of_turn>user\n{system}\n\n{content}<end_of_turn>\n<start_of_turn>model\n{answer}<end_of_turn>\n
 *
 * A first message of role "system" becomes a prefix of the first turn, not trimmed; all other content is trimmed as
 * Python's str.strip() does it; turns alternate, the user's first; "assistant" is printed as "model".
 * Refused with GT_ERR_DATA: no message at all, wrong alternation, content that is null, missing, an empty list, an
 * object or a scalar, list items that are neither text nor image, bad UTF-8. The template's own tokens are always
 * control tokens; what a message holds (its role too) never becomes one unless GT_CHAT_PARSE_SPECIAL is given, with
 * which the result is the reference's for every input. Template: TRL's gemma3.jinja; label spans:
 * gemma3_training.jinja. */
#ifndef GT_CHAT_H
#define GT_CHAT_H

#include "json.h"
#include "tokenizer.h"

typedef enum { GT_CHAT_TEXT, GT_CHAT_IMAGE } gt_chat_item_type;

typedef struct {
    gt_chat_item_type type;
    const char *text; /* `size` bytes of UTF-8; ignored for an image. Not owned */
    size_t size;
} gt_chat_item;

/* Plain string content is a list of one text item: the template treats them alike. */
typedef struct {
    const char *role; /* `role_size` bytes of UTF-8, not owned */
    size_t role_size;
    const gt_chat_item *item; /* [item_count], at least one; not owned */
    size_t item_count;
} gt_chat_message;

enum {
    GT_CHAT_GENERATION_PROMPT = 1, /* end with <start_of_turn>model\n */
    GT_CHAT_PARSE_SPECIAL = 2      /* control tokens spelled in content are parsed */
};

/* Messages read from JSON: {"role": …, "content": string or list}, or as ShareGPT spells them {"from": human, gpt,
 * system, user or assistant, "value": …}. The texts point into the JSON document. */
typedef struct {
    gt_chat_message *message; /* [count] owned */
    gt_chat_item *items;      /* owned, all messages' items */
    size_t count;
} gt_chat;

/* messages: an array of objects; other members of a message are ignored. GT_ERR_DATA names the message by its number:
 * also where it mixes the two spellings, or is from somebody else. Free with gt_chat_free. The order of roles, and what
 * "role" says, are checked by render and encode. */
gt_status gt_chat_from_json(gt_chat *out, const gt_json *messages);
void gt_chat_free(gt_chat *c); /* NULL and zeroed structs are fine */

/* An assistant's turn in the encoded conversation. */
typedef struct {
    size_t message;    /* index of the message */
    size_t begin, end; /* tokens [begin, end) that its loss is taken over: content, <end_of_turn>, newline */
} gt_chat_turn;

typedef struct {
    gt_ids ids;
    gt_chat_turn *turn; /* [turn_count] owned: the assistant's turns in order */
    size_t turn_count;
    bool ends_with_assistant;
    size_t prompt_tokens; /* if so: where the last turn's labels begin; else 0 */
} gt_chat_tokens;

void gt_chat_tokens_free(gt_chat_tokens *c); /* NULL and zeroed structs are fine */

/* Renders and encodes; BOS comes from the template, none is added. out is overwritten, not freed, and zeroed on
 * failure. */
gt_status gt_chat_encode(const gt_tokenizer *t, const gt_chat_message *message, size_t count, unsigned flags,
                         gt_chat_tokens *out);

/* The template's text alone, appended to out. */
gt_status gt_chat_render(const gt_tokenizer *t, const gt_chat_message *message, size_t count, unsigned flags,
                         gt_text *out);

#endif
