/* cmd_generate.c - gemtune generate: continues a prompt, streamed to standard output as soon as bytes are whole: a
 * character may take several tokens. The token that ends the text is drawn and not shown. */
#include "commands.h"

#include "chat.h"
#include "checked.h"
#include "detok.h"
#include "generate.h"
#include "opened_model.h"
#include "run_options.h"
#include "standard_input.h"
#include "standard_output.h"
#include "text.h"
#include "tokenizer_source.h"

#include <stdio.h>
#include <string.h>

static const gt_command_text text = {
    .name = "generate",
    .operands = "MODEL",
    .summary = "Continues a text, one token at a time.",
    .about = "MODEL: a Hugging Face folder, a .gguf or .gtq file, or a hub id in the local cache.",
    .min_operands = 1,
    .max_operands = 1};

enum { PROMPT_CHUNK = 256, PROMPT_BYTES = 64 << 20 };

typedef struct {
    gt_model_words on;
    const char *prompt;
    bool chat;
    int64_t max_new_tokens, top_k, seed;
    double temperature, top_p;
} wishes;

typedef struct {
    const gt_model_config *config;
    gt_detok *detok;
} stream;

static gt_status take_token(void *context, int32_t id)
{
    stream *s = context;
    const char *bytes;
    size_t size;
    for (int i = 0; i < s->config->eos_count; i++)
        if (s->config->eos_id[i] == id) return GT_OK; /* it ends the text and is not part of it */
    GT_TRY(gt_detok_push(s->detok, id, &bytes, &size));
    return size ? gt_standard_output_write(bytes, size) : GT_OK;
}

static gt_status encode_chat(const gt_tokenizer *t, const wishes *w, const char *prompt, size_t size, gt_ids *ids)
{
    const gt_chat_item item = {GT_CHAT_TEXT, prompt, size};
    const gt_chat_message message = {.role = "user", .role_size = 4, .item = &item, .item_count = 1};
    unsigned flags = GT_CHAT_GENERATION_PROMPT | (w->on.parse_special ? GT_CHAT_PARSE_SPECIAL : 0);
    gt_chat_tokens tokens;
    GT_TRY(gt_chat_encode(t, &message, 1, flags, &tokens));
    *ids = tokens.ids;
    tokens.ids = (gt_ids){0};
    gt_chat_tokens_free(&tokens);
    return GT_OK;
}

static gt_status encode_prompt(const gt_tokenizer *t, const wishes *w, const char *prompt, size_t size, gt_ids *ids)
{
    if (w->chat) return encode_chat(t, w, prompt, size, ids);
    unsigned flags = GT_ENCODE_ADD_BOS | GT_ENCODE_ONE_BOS | (w->on.parse_special ? GT_ENCODE_PARSE_SPECIAL : 0);
    return gt_tokenizer_encode(t, prompt, size, flags, ids);
}

/* A chat's answer ends with its turn, whatever the model's file says ends a text. */
static void end_at_turn(gt_model_config *c, const gt_tokenizer *t)
{
    int32_t id = gt_tokenizer_get_specials(t)->end_of_turn;
    for (int i = 0; i < c->eos_count; i++)
        if (c->eos_id[i] == id) return;
    if (id >= 0 && c->eos_count < GT_MAX_EOS) c->eos_id[c->eos_count++] = id;
}

static gt_status generate(const wishes *w, const gt_tokenizer *t, const gt_ids *ids)
{
    gt_opened_model x;
    gt_generator g = {0};
    stream s = {0};
    const char *bytes;
    size_t size;
    int made = 0;
    const gt_open_options o = gt_run_open_options(&w->on);
    GT_TRY(gt_opened_model_open(&x, &o));
    gt_status st = GT_OK;
    if (w->chat) end_at_turn(&x.w->config, t);
    size_t positions = ids->count + (size_t)w->max_new_tokens;
    if (positions > (size_t)x.w->config.max_position_embeddings)
        st = GT_FAIL(
            GT_ERR_USAGE,
            "%zu prompt tokens and %lld new ones are more than the model's %d positions; lower --max-new-tokens",
            ids->count, (long long)w->max_new_tokens, x.w->config.max_position_embeddings);
    int chunk = (int)gt_min_size(PROMPT_CHUNK, positions);
    if (st == GT_OK) st = gt_opened_model_start(&x, (int)positions, chunk);
    if (st == GT_OK) st = gt_generator_create(&g, x.m, (int)positions, chunk);
    if (st == GT_OK) st = gt_detok_create(&s.detok, t, true);
    if (st == GT_OK) {
        const gt_sampling sampling = {w->temperature, (int)w->top_k, w->top_p, (uint64_t)w->seed};
        s.config = &x.w->config;
        st = gt_generate(&g, ids->id, (int)ids->count, (int)w->max_new_tokens, &sampling, take_token, &s, &made);
    }
    if (s.detok && gt_detok_finish(s.detok, &bytes, &size) == GT_OK && size && st == GT_OK)
        st = gt_standard_output_write(bytes, size);
    if (made > 0 && st == GT_OK) st = gt_standard_output_write("\n", 1);
    gt_detok_free(s.detok);
    gt_generator_destroy(&g);
    gt_opened_model_close(&x);
    return st;
}

static gt_status read_prompt(gt_text *text)
{
    char buffer[4096];
    for (size_t got;;) {
        gt_status st = gt_standard_input_read(buffer, sizeof buffer, &got);
        if (st == GT_OK) gt_text_add(text, buffer, got);
        if (st == GT_OK && text->failed) st = GT_FAIL(GT_ERR_NOMEM, "no memory for the prompt");
        if (st == GT_OK && text->size > PROMPT_BYTES)
            st = GT_FAIL(GT_ERR_DATA, "the prompt on standard input is longer than %d bytes", PROMPT_BYTES);
        if (st != GT_OK || got == 0) return st;
    }
}

static gt_status run(const wishes *w)
{
    gt_tokenizer *t;
    gt_ids ids = {0};
    gt_text piped = {0};
    const bool from_pipe = strcmp(w->prompt, "-") == 0;
    GT_TRY(gt_tokenizer_source_need(&t, w->on.model));
    gt_status st = from_pipe ? read_prompt(&piped) : GT_OK;
    if (st == GT_OK && from_pipe && piped.size == 0) st = GT_FAIL(GT_ERR_DATA, "the prompt on standard input is empty");
    if (st == GT_OK && from_pipe)
        st = encode_prompt(t, w, piped.data, piped.size, &ids);
    else if (st == GT_OK)
        st = encode_prompt(t, w, w->prompt, strlen(w->prompt), &ids);
    if (st == GT_OK) st = generate(w, t, &ids);
    gt_text_free(&piped);
    gt_ids_free(&ids);
    gt_tokenizer_free(t);
    return st;
}

gt_status gt_cmd_generate(int argc, char **argv)
{
    wishes w = {.max_new_tokens = 256, .top_p = 1};
    const gt_option options[] = {
        {GT_OPTION_TEXT("--prompt", "TEXT", &w.prompt), .letter = "-p", .missing = "--prompt TEXT is missing",
         .help = "what to continue; - reads it from standard input"},
        {GT_OPTION_SWITCH("--chat", &w.chat), .help = "the prompt is the user's turn of a chat"},
        GT_ADAPTER_OPTION(&w.on),
        {GT_OPTION_INT("--max-new-tokens", "N", &w.max_new_tokens, 1, 1e6), .help = "tokens at most (default 256)"},
        {GT_OPTION_REAL("--temperature", "T", &w.temperature, 0, 100),
         .help = "0 (default): always the likeliest token; above: drawn"},
        {GT_OPTION_INT("--top-k", "K", &w.top_k, 0, 1e9), .help = "draw among the K likeliest (0, default: all)"},
        {GT_OPTION_REAL("--top-p", "P", &w.top_p, 1e-9, 1),
         .help = "draw among the likeliest that together reach P (default 1)"},
        {GT_OPTION_INT("--seed", "S", &w.seed, 0, 9007199254740991.0), .help = "of the draws (default 0)"},
        GT_MODEL_OPTIONS(&w.on, "the prompt"),
        {.name = NULL}};
    bool help;
    GT_TRY(gt_args_parse(&text, options, argc, argv, &w.on.model, NULL, &help));
    return help ? GT_OK : run(&w);
}
