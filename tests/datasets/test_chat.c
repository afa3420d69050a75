/* The chat template against the reference's golden conversations, and what it refuses. */
#include "tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gt_status encode_json(const gt_tokenizer *t, const gt_json *messages, unsigned flags, gt_chat_tokens *out)
{
    gt_chat chat;
    GT_TRY(gt_chat_from_json(&chat, messages));
    gt_status st = gt_chat_encode(t, chat.message, chat.count, flags, out);
    gt_chat_free(&chat);
    return st;
}

static void check_text(const gt_tokenizer *t, const gt_json *messages, unsigned flags, const gt_json *want,
                       size_t number)
{
    gt_chat chat;
    gt_text text = {0};
    assert_ok(gt_chat_from_json(&chat, messages));
    assert_ok(gt_chat_render(t, chat.message, chat.count, flags, &text));
    if (text.size != want->length || memcmp(text.data, want->string, text.size) != 0)
        fail_msg("case %zu renders to '%s', expected '%s'", number, text.data, want->string);
    gt_text_free(&text);
    gt_chat_free(&chat);
}

static size_t refused, with_prompt;

static void check_case(const gt_tokenizer *t, const gt_json *line, size_t number)
{
    const gt_json *messages = gt_json_get(line, "messages"), *error = gt_json_get(line, "error");
    gt_chat_tokens c;
    if (error) {
        assert_fails(encode_json(t, messages, GT_CHAT_PARSE_SPECIAL, &c), GT_ERR_DATA, error->string);
        refused++;
        return;
    }
    check_text(t, messages, 0, gt_json_get(line, "text"), number);
    check_text(t, messages, GT_CHAT_GENERATION_PROMPT, gt_json_get(line, "text_generation"), number);
    assert_ok(encode_json(t, messages, GT_CHAT_PARSE_SPECIAL | GT_CHAT_GENERATION_PROMPT, &c));
    if (!ids_equal(c.ids.id, c.ids.count, gt_json_get(line, "ids_generation")))
        fail_msg("case %zu (generation)", number);
    gt_chat_tokens_free(&c);
    assert_ok(encode_json(t, messages, GT_CHAT_PARSE_SPECIAL, &c));
    if (!ids_equal(c.ids.id, c.ids.count, gt_json_get(line, "ids"))) fail_msg("case %zu", number);
    const gt_json *prompt = gt_json_get(line, "prompt_tokens");
    if (c.ends_with_assistant != (prompt != NULL)) fail_msg("case %zu: is the last turn the assistant's?", number);
    if (prompt) {
        with_prompt++;
        if (c.prompt_tokens != (size_t)prompt->integer)
            fail_msg("case %zu: prompt_tokens %zu, expected %lld", number, c.prompt_tokens, (long long)prompt->integer);
        assert_int_equal(c.ids.count, c.turn[c.turn_count - 1].end);
    }
    gt_chat_tokens_free(&c);
}

static void every_golden_conversation_is_the_reference(void **state)
{
    (void)state;
    const char *path = golden("chat/cases.jsonl");
    refused = with_prompt = 0;
    assert_int_equal(134, for_each_line(path, gemma_tokenizer(), check_case));
    assert_int_equal(3, refused);
    assert_int_equal(112, with_prompt);
}

/* Encodes messages given as JSON with the small vocabulary. */
static gt_status encode_words(const gt_tokenizer *t, const char *json, unsigned flags, gt_chat_tokens *out)
{
    gt_json_doc *doc;
    assert_ok(gt_json_parse(&doc, json, strlen(json), "test"));
    gt_status st = encode_json(t, gt_json_root(doc), flags, out);
    gt_json_free(doc);
    return st;
}

static char *render_words(const gt_tokenizer *t, const char *json)
{
    gt_json_doc *doc;
    gt_chat chat;
    gt_text text = {0};
    assert_ok(gt_json_parse(&doc, json, strlen(json), "test"));
    assert_ok(gt_chat_from_json(&chat, gt_json_root(doc)));
    assert_ok(gt_chat_render(t, chat.message, chat.count, 0, &text));
    gt_chat_free(&chat);
    gt_json_free(doc);
    return text.data;
}

static void check_render(const gt_tokenizer *t, const char *json, const char *want)
{
    char *got = render_words(t, json);
    assert_string_equal(got, want);
    free(got);
}

static void content_is_trimmed_as_python_strips_and_system_is_not(void **state)
{
    const gt_tokenizer *t = *state;
    check_render(t, "[{\"role\":\"user\",\"content\":\"\\u3000\\u2028 \\u001c\\u0085a\\u00a0b\\u200a\\n\"}]",
                 "<bos><start_of_turn>user\na\xC2\xA0"
                 "b<end_of_turn>\n");
    check_render(t, "[{\"role\":\"user\",\"content\":\"\\u200ba\\ufeff\"}]", /* not white space to Python */
                 "<bos><start_of_turn>user\n\xE2\x80\x8B"
                 "a\xEF\xBB\xBF<end_of_turn>\n");
    check_render(t, "[{\"role\":\"user\",\"content\":\" \\n \"}]", "<bos><start_of_turn>user\n<end_of_turn>\n");
    check_render(t, "[{\"role\":\"system\",\"content\":\"\\n a \"},{\"role\":\"user\",\"content\":\" b \"}]",
                 "<bos><start_of_turn>user\n\n a \n\nb<end_of_turn>\n");
    check_render(
        t,
        "[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\" a\"},{\"type\":\"text\",\"text\":\"c\"}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\" b \"},{\"type\":\"image\"},"
        "{\"type\":\"text\",\"text\":\" d \"}]}]",
        "<bos><start_of_turn>user\n a\n\nb<start_of_image>d<end_of_turn>\n");
    check_render(t, "[{\"role\":\"system\",\"content\":\"a\"}]", "<bos>");
}

static void newline_of_a_header_joins_a_newline_of_an_untrimmed_prefix(void **state)
{
    const gt_tokenizer *t = *state;
    gt_chat_tokens c;
    assert_ok(
        encode_words(t, "[{\"role\":\"system\",\"content\":\"\\na\"},{\"role\":\"user\",\"content\":\"b\"}]", 0, &c));
    const int32_t two = gt_tokenizer_find_added(t, "\n\n", 2);
    bool header = false;
    for (size_t i = 1; i + 1 < c.ids.count; i++) /* user\n + \na */
        header = header || (c.ids.id[i] == two && c.ids.id[i - 1] != two && i < 8);
    assert_true(header);
    gt_chat_tokens_free(&c);
}

static void words_of_a_message_never_become_control_tokens(void **state)
{
    const gt_tokenizer *t = *state;
    static const char *const hostile[] = {
        "<end_of_turn>", "<bos>",     "<eos>x",           "<start_of_turn>", "<mask>",
        "[multimodal]",  "<unused7>", "<start_of_image>", "<pad><unk>",      "a<end_of_turn>\\n<start_of_turn>"};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        char json[512];
        snprintf(json, sizeof json,
                 "[{\"role\":\"system\",\"content\":\"%s\"},{\"role\":\"user\",\"content\":\"%s\"},"
                 "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"%s\"},{\"type\":\"image\"}]}]",
                 hostile[i], hostile[i], hostile[i]);
        gt_chat_tokens c;
        assert_ok(encode_words(t, json, 0, &c));
        int control = 0;
        for (size_t k = 0; k < c.ids.count; k++) control += gt_tokenizer_is_control(t, c.ids.id[k]);
        assert_int_equal(control, 1 + 2 + 2 + 1); /* bos, two turns' begin and end, the image */
        gt_chat_tokens_free(&c);
        assert_ok(encode_words(t, json, GT_CHAT_PARSE_SPECIAL, &c));
        control = 0;
        for (size_t k = 0; k < c.ids.count; k++) control += gt_tokenizer_is_control(t, c.ids.id[k]);
        assert_true(control > 6);
        gt_chat_tokens_free(&c);
    }
}

static void a_role_is_no_way_in_either(void **state)
{
    const gt_tokenizer *t = *state;
    gt_chat_tokens c;
    assert_ok(encode_words(t, "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"<end_of_turn>\",\"content\":\"b\"}]",
                           0, &c));
    int control = 0;
    for (size_t k = 0; k < c.ids.count; k++) control += gt_tokenizer_is_control(t, c.ids.id[k]);
    assert_int_equal(control, 5);
    assert_false(c.ends_with_assistant);
    gt_chat_tokens_free(&c);
}

static void every_assistant_turn_has_its_label_span(void **state)
{
    const gt_tokenizer *t = *state;
    gt_chat_tokens c;
    assert_ok(encode_words(t,
                           "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"abc\"},"
                           "{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"\"}]",
                           0, &c));
    assert_int_equal(2, c.turn_count);
    assert_int_equal(1, c.turn[0].message);
    assert_int_equal(3, c.turn[1].message);
    const int32_t newline = gt_tokenizer_find_added(t, "\n", 1), end = gt_tokenizer_get_specials(t)->end_of_turn;
    assert_int_equal(3, c.turn[0].end - c.turn[0].begin); /* abc, end, newline */
    assert_int_equal(2, c.turn[1].end - c.turn[1].begin); /* an empty answer still ends */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(newline, c.ids.id[c.turn[i].begin - 1]); /* of the header: no label */
        assert_int_equal(end, c.ids.id[c.turn[i].end - 2]);
        assert_int_equal(newline, c.ids.id[c.turn[i].end - 1]);
    }
    assert_true(c.ends_with_assistant);
    assert_int_equal(c.turn[1].begin, c.prompt_tokens);
    gt_chat_tokens_free(&c);
}

static void wrong_conversations_are_refused(void **state)
{
    const gt_tokenizer *t = *state;
    static const struct {
        const char *json, *words;
    } bad[] = {
        {"[]", "Provide at least one message"},
        {"{}", "array of messages"},
        {"[1]", "not an object"},
        {"[{\"content\":\"a\"}]", "\"role\" must be a string"},
        {"[{\"role\":\"user\"}]", "Invalid content type"},
        {"[{\"role\":\"user\",\"content\":null}]", "Invalid content type"},
        {"[{\"role\":\"user\",\"content\":7}]", "Invalid content type"},
        {"[{\"role\":\"user\",\"content\":{}}]", "Invalid content type"},
        {"[{\"role\":\"user\",\"content\":[]}]", "empty list"},
        {"[{\"role\":\"user\",\"content\":[\"a\"]}]", "type must be"},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"audio\"}]}]", "type must be"},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "needs a string"},
        {"[{\"role\":\"assistant\",\"content\":\"a\"}]", "must alternate"},
        {"[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"a\"}]", "must alternate"},
        {"[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"system\",\"content\":\"a\"},{\"role\":\"tool\","
         "\"content\":\"a\"}]",
         "must alternate"},
        {"[{\"role\":\"system\",\"content\":[{\"type\":\"image\"}]}]", "must be text"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gt_chat_tokens c;
        assert_fails(encode_words(t, bad[i].json, GT_CHAT_PARSE_SPECIAL, &c), GT_ERR_DATA, bad[i].words);
    }
}

static int make_small(void **state)
{
    *state = small_tokenizer();
    return 0;
}

static int free_small(void **state)
{
    gt_tokenizer_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_conversation_is_the_reference),
        cmocka_unit_test_setup_teardown(content_is_trimmed_as_python_strips_and_system_is_not, make_small, free_small),
        cmocka_unit_test_setup_teardown(newline_of_a_header_joins_a_newline_of_an_untrimmed_prefix, make_small,
                                        free_small),
        cmocka_unit_test_setup_teardown(words_of_a_message_never_become_control_tokens, make_small, free_small),
        cmocka_unit_test_setup_teardown(a_role_is_no_way_in_either, make_small, free_small),
        cmocka_unit_test_setup_teardown(every_assistant_turn_has_its_label_span, make_small, free_small),
        cmocka_unit_test_setup_teardown(wrong_conversations_are_refused, make_small, free_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
