/* JSON lines in, JSON lines out. */
#include "tokenize_lines.h"

#include "tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *in;
    size_t size, at, step; /* at most step bytes a read: lines come in any parts */
    gt_text out;
    size_t writes;
} pipe_ends;

static gt_status read_some(void *user, char *buffer, size_t capacity, size_t *got)
{
    pipe_ends *p = user;
    size_t n = p->size - p->at;
    if (n > p->step) n = p->step;
    if (n > capacity) n = capacity;
    memcpy(buffer, p->in + p->at, n);
    p->at += n;
    *got = n;
    return GT_OK;
}

static gt_status write_all(void *user, const char *bytes, size_t size)
{
    pipe_ends *p = user;
    gt_text_add(&p->out, bytes, size);
    p->writes++;
    return GT_OK;
}

static void check_lines(const gt_tokenizer *t, gt_tokenize_options o, const char *in, const char *want,
                        uint64_t want_errors)
{
    for (size_t step = 1; step < 100; step += 13) {
        pipe_ends p = {.in = in, .size = strlen(in), .step = step};
        const gt_tokenize_io io = {read_some, write_all, &p};
        uint64_t errors = 99;
        assert_ok(gt_tokenize_lines(t, &o, &io, &errors));
        assert_string_equal(want, p.out.data ? p.out.data : "");
        assert_int_equal(want_errors, errors);
        gt_text_free(&p.out);
    }
}

static void every_line_gets_one_answer(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    const gt_tokenize_options text = {.mode = GT_TOKENIZE_TEXT},
                              parse = {.mode = GT_TOKENIZE_TEXT, .parse_special = true};
    const gt_tokenize_options decode = {.mode = GT_TOKENIZE_DECODE};
    check_lines(t, text, "", "", 0);
    check_lines(t, text, "{\"text\":\"ab\",\"ids\":[7]}\n{\"text\":\"\"}", "{\"ids\":[2,269]}\n{\"ids\":[2]}\n", 0);
    check_lines(t, parse, "{\"text\":\"<bos>ab<eos>\"}\r\n", "{\"ids\":[2,2,269,1]}\n", 0);
    check_lines(t, decode, "{\"ids\":[2,269,10]}\n{\"ids\":[]}\n", "{\"text\":\"<bos>ab\\n\"}\n{\"text\":\"\"}\n", 0);
    check_lines(t, decode, "{\"ids\":[99999]}\n{\"ids\":[1.5]}\n{\"text\":\"a\"}\n",
                "{\"error\":\"line 1: token 0 has id 99999, expected 0 to 284\"}\n"
                "{\"error\":\"line 2: element 0 of \\\"ids\\\" is not a token id\"}\n"
                "{\"error\":\"line 3: expected an object with \\\"ids\\\", an array of token ids\"}\n",
                3);
    gt_tokenizer_free(t);
}

static void wrong_lines_are_answered_and_counted(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    static const char in[] =
        "\n{\n[]\n{\"text\":1}\n{\"text\":\"a\",\"text\":\"b\"}\n{\"text\":\"\xFF\"}\n{\"text\":\"\\ud800\"}\n"
        "{\"text\":\"ab\"} x\n{\"text\":\"ab\"}\n";
    pipe_ends p = {.in = in, .size = strlen(in), .step = 7};
    const gt_tokenize_io io = {read_some, write_all, &p};
    const gt_tokenize_options o = {.mode = GT_TOKENIZE_TEXT};
    uint64_t errors;
    assert_ok(gt_tokenize_lines(t, &o, &io, &errors));
    assert_int_equal(8, errors);
    assert_int_equal(9, p.writes);
    size_t number = 0;
    for (char *line = p.out.data; *line;) {
        char *end = strchr(line, '\n'), expected[32];
        gt_json_doc *doc;
        assert_ok(gt_json_parse(&doc, line, (size_t)(end - line), "answer"));
        const gt_json *error = gt_json_get(gt_json_root(doc), "error");
        snprintf(expected, sizeof expected, "line %zu: ", ++number);
        if (number < 9) assert_memory_equal(expected, error->string, strlen(expected));
        assert_true((number == 9) == (error == NULL));
        gt_json_free(doc);
        line = end + 1;
    }
    assert_int_equal(9, number);
    gt_text_free(&p.out);
    gt_tokenizer_free(t);
}

static void chats_give_prompt_tokens_when_the_assistant_ends(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    static const char two[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n";
    static const char one[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n{\"messages\":[]}\n";
    gt_tokenize_options o = {.mode = GT_TOKENIZE_CHAT};
    pipe_ends p = {.in = two, .size = strlen(two), .step = 100};
    gt_tokenize_io io = {read_some, write_all, &p};
    uint64_t errors;
    assert_ok(gt_tokenize_lines(t, &o, &io, &errors));
    assert_non_null(strstr(p.out.data, ",5,10],\"prompt_tokens\":")); /* ends in end_of_turn, newline */
    gt_text_free(&p.out);
    p = (pipe_ends){.in = one, .size = strlen(one), .step = 100};
    assert_ok(gt_tokenize_lines(t, &o, &io, &errors));
    assert_null(strstr(p.out.data, "prompt_tokens"));
    assert_non_null(strstr(p.out.data, "line 2: Cannot apply chat template to an empty conversation"));
    assert_int_equal(1, errors);
    gt_text_free(&p.out);
    gt_tokenizer_free(t);
}

static gt_status read_fails(void *user, char *buffer, size_t capacity, size_t *got)
{
    (void)user, (void)buffer, (void)capacity, (void)got;
    return GT_FAIL(GT_ERR_IO, "the pipe broke");
}

static void failing_input_ends_the_run(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    const gt_tokenize_options o = {.mode = GT_TOKENIZE_TEXT};
    const gt_tokenize_io io = {read_fails, write_all, NULL};
    uint64_t errors;
    assert_fails(gt_tokenize_lines(t, &o, &io, &errors), GT_ERR_IO, "broke");
    gt_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_gets_one_answer),
        cmocka_unit_test(wrong_lines_are_answered_and_counted),
        cmocka_unit_test(chats_give_prompt_tokens_when_the_assistant_ends),
        cmocka_unit_test(failing_input_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
