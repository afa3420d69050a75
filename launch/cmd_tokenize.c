/* cmd_tokenize.c - gemtune tokenize: JSON lines in on standard input, JSON lines out on standard output, each answered
 * before the next is waited for, so that a program can talk with it. */
#include "commands.h"

#include "args.h"
#include "standard_input.h"
#include "standard_output.h"
#include "tokenize_lines.h"
#include "tokenizer_source.h"

#include <inttypes.h>

static const gt_command_text text = {
    .name = "tokenize",
    .operands = "MODEL",
    .summary = "Turns JSON lines on standard input into JSON lines on standard output.",
    .about = "  {\"text\": ...}                ->  {\"ids\": [...]}\n"
             "  {\"messages\": [...]}          ->  {\"ids\": [...], \"prompt_tokens\": N}    with --chat\n"
             "  {\"ids\": [...]}               ->  {\"text\": ...}                         with --decode\n"
             "A line that cannot be answered gives {\"error\": ...}, and 65 at the end.",
    .min_operands = 1,
    .max_operands = 1};

static gt_status read_input(void *user, char *buffer, size_t capacity, size_t *got)
{
    (void)user;
    return gt_standard_input_read(buffer, capacity, got);
}

static gt_status write_output(void *user, const char *bytes, size_t size)
{
    (void)user;
    return gt_standard_output_write(bytes, size);
}

gt_status gt_cmd_tokenize(int argc, char **argv)
{
    bool chat = false, decode = false, help;
    gt_tokenize_options o = {.mode = GT_TOKENIZE_TEXT};
    const gt_option options[] = {
        {GT_OPTION_SWITCH("--chat", &chat), .help = "lines hold messages, as Gemma's chat format has it"},
        {GT_OPTION_SWITCH("--add-generation-prompt", &o.add_generation_prompt),
         .help = "with --chat: end with the beginning of the model's turn"},
        {GT_OPTION_SWITCH("--decode", &decode), .help = "lines hold ids"},
        {GT_OPTION_SWITCH("--parse-special", &o.parse_special),
         .help = "control tokens spelled in text become control tokens; only for text you trust"},
        {.name = NULL}};
    const char *model;
    GT_TRY(gt_args_parse(&text, options, argc, argv, &model, NULL, &help));
    if (help) return GT_OK;
    if (chat && decode) return GT_FAIL(GT_ERR_USAGE, "tokenize: --chat and --decode exclude each other");
    if (o.add_generation_prompt && !chat)
        return GT_FAIL(GT_ERR_USAGE, "tokenize: --add-generation-prompt goes with --chat");
    if (chat) o.mode = GT_TOKENIZE_CHAT;
    if (decode) o.mode = GT_TOKENIZE_DECODE;

    gt_tokenizer *t;
    GT_TRY(gt_tokenizer_source_need(&t, model));
    const gt_tokenize_io io = {.read = read_input, .write = write_output};
    uint64_t errors = 0;
    gt_status st = gt_tokenize_lines(t, &o, &io, &errors);
    gt_tokenizer_free(t);
    if (st == GT_OK && errors > 0)
        st = GT_FAIL(GT_ERR_DATA, "tokenize: %" PRIu64 " lines could not be answered; each says why", errors);
    return st;
}
