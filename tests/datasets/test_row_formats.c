/* Every row format: its tokens and which of them are supervised. The small vocabulary has single letters a-e, so tokens
 * can be read: a sample is printed as its pieces, supervised ones in brackets. */
#include "row_files.h"
#include "row_sample.h"
#include "tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *show(const gt_sample *s)
{
    gt_text t = {0};
    for (int p = 0; p < s->n; p++) {
        size_t size;
        const char *piece = gt_tokenizer_piece(shared_small_tokenizer(), s->ids[p], &size);
        const int byte = gt_tokenizer_byte_of(shared_small_tokenizer(), s->ids[p]);
        if (s->label[p]) gt_text_add(&t, "[", 1);
        if (byte >= 0)
            gt_text_addf(&t, "%c", byte);
        else if (size == 1 && *piece == '\n')
            gt_text_add(&t, "\\n", 2);
        else
            gt_text_add(&t, piece, size);
        if (s->label[p]) gt_text_add(&t, "]", 1);
    }
    return t.data;
}

static void check_one(const char *json, const gt_load_options *o, const char *want, int prompt_tokens)
{
    gt_samples s;
    assert_ok(load_row(&s, json, o));
    assert_int_equal(s.count, 1);
    char *got = show(&s.sample[0]);
    if (strcmp(got, want) != 0) fail_msg("%s\n gives    %s\n expected %s", json, got, want);
    assert_int_equal(s.sample[0].prompt_tokens, prompt_tokens);
    int supervised = 0;
    for (int p = 0; p < s.sample[0].n; p++) supervised += s.sample[0].label[p];
    assert_int_equal(s.sample[0].supervised, supervised);
    assert_int_equal(s.supervised, supervised);
    free(got);
    gt_samples_free(&s);
}

#define USER "<bos><start_of_turn>user\\n"
#define MODEL "<end_of_turn>\\n<start_of_turn>model\\n"

static const gt_load_options all = {.supervise = GT_SUPERVISE_ALL};
static const gt_load_options completion = {.supervise = GT_SUPERVISE_COMPLETION};
static const gt_load_options assistant = {.assistant_only = true};

static void text_is_supervised_whole_with_its_end(void **state)
{
    (void)state;
    check_one("{\"text\":\"ba\"}", NULL, "<bos>[b][a][<eos>]", 0);
    check_one("{\"text\":\"ba\"}", &all, "<bos>[b][a][<eos>]", 0);
    check_one("{\"text\":\"b<eos>\"}", &(gt_load_options){.parse_special = true}, "<bos>[b][<eos>]", 0);
    check_one("{\"text\":\"b<eos>\"}", NULL, "<bos>[b][<][e][o][s][>][<eos>]", 0);
    check_one("{\"text\":\"<bos>b\"}", &(gt_load_options){.parse_special = true}, "<bos>[b][<eos>]", 0);
    check_one("{\"text\":\"b\\u0000\"}", &(gt_load_options){.max_length = 2}, "<bos>[b]", 0);
}

static void a_prompt_is_context_for_its_completion(void **state)
{
    (void)state;
    check_one("{\"prompt\":\"ba\",\"completion\":\"dc\"}", NULL, "<bos>ba[d][c][<eos>]", 3);
    check_one("{\"prompt\":\"ba\",\"completion\":\"dc\"}", &completion, "<bos>ba[d][c][<eos>]", 3);
    check_one("{\"prompt\":\"ba\",\"completion\":\"dc\"}", &all, "<bos>[b][a][d][c][<eos>]", 3);
    check_one("{\"prompt\":\"\",\"completion\":\"d\"}", NULL, "<bos>[d][<eos>]", 1);
    /* "a" and "b" join into one token: the border stays where the prompt alone ended, as in TRL */
    check_one("{\"prompt\":\"ea\",\"completion\":\"be\"}", NULL, "<bos>eab[e][<eos>]", 3);
}

static void a_conversation_supervises_its_last_answer_or_every_one(void **state)
{
    (void)state;
    const char *two =
        "{\"messages\":[{\"role\":\"user\",\"content\":\" a \"},{\"role\":\"assistant\",\"content\":\"b\"},"
        "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}]}";
    const char *first = USER "a" MODEL "b<end_of_turn>\\n<start_of_turn>user\\nc" MODEL "[d][<end_of_turn>][\\n]";
    check_one(two, NULL, first, 36);
    check_one(two, &completion, first, 36);
    check_one(two, &assistant,
              USER "a" MODEL "[b][<end_of_turn>][\\n]<start_of_turn>user\\nc" MODEL "[d][<end_of_turn>][\\n]", 36);
    check_one("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}", &all,
              "<bos>[<start_of_turn>][u][s][e][r][\\n][a][<end_of_turn>][\\n][<start_of_turn>][m][o][d][e][l][\\n]"
              "[b][<end_of_turn>][\\n]",
              17);
    check_one("{\"messages\":[{\"role\":\"user\",\"content\":\"<eos>\"},{\"role\":\"assistant\",\"content\":\"<end_of_"
              "turn>\"}]}",
              &(gt_load_options){.max_length = 25}, USER "<eos>" MODEL "[<][e][n][d]", 21);
}

static void sharegpts_spelling_gives_the_same_conversation(void **state)
{
    (void)state;
    const char *want = USER "d\n\na" MODEL "b<end_of_turn>\\n<start_of_turn>user\\nc" MODEL "[d][<end_of_turn>][\\n]";
    static const char *const rows[] = {
        "{\"messages\":[{\"role\":\"system\",\"content\":\"d\"},{\"role\":\"user\",\"content\":\"a\"},{\"role\":"
        "\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":"
        "\"d\"}]}",
        "{\"conversations\":[{\"from\":\"system\",\"value\":\"d\"},{\"from\":\"human\",\"value\":\"a\"},{\"from\":"
        "\"gpt\",\"value\":\"b\",\"weight\":0},{\"from\":\"human\",\"value\":\"c\"},{\"from\":\"gpt\",\"value\":"
        "\"d\"}],\"id\":\"x1\",\"text\":\"ignored\"}",
        "{\"conversations\":[{\"from\":\"system\",\"value\":\"d\"},{\"from\":\"user\",\"value\":\"a\",\"role\":null},"
        "{\"from\":\"assistant\",\"value\":\"b\"},{\"role\":\"user\",\"content\":\"c\",\"from\":null},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"d\"}]}]}",
        "{\"messages\":[{\"from\":\"system\",\"value\":\"d\"},{\"from\":\"human\",\"value\":\"a\"},{\"from\":"
        "\"gpt\",\"value\":\"b\"},{\"from\":\"human\",\"value\":\"c\"},{\"from\":\"gpt\",\"value\":\"d\"}]}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_one(rows[i], NULL, want, 38);
    check_one("{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"},{\"from\":"
              "\"human\",\"value\":\"c\"},{\"from\":\"gpt\",\"value\":\"d\"}]}",
              &assistant,
              USER "a" MODEL "[b][<end_of_turn>][\\n]<start_of_turn>user\\nc" MODEL "[d][<end_of_turn>][\\n]", 36);
    check_one("{\"prompt\":[{\"from\":\"human\",\"value\":\"a\"}],\"completion\":[{\"from\":\"gpt\",\"value\":\"b\"}]}",
              NULL, USER "a" MODEL "[b][<end_of_turn>][\\n]", 17);
    /* what a message says stays text */
    check_one("{\"conversations\":[{\"from\":\"human\",\"value\":\"<eos>\"},{\"from\":\"gpt\",\"value\":\"b\"}]}", NULL,
              USER "<eos>" MODEL "[b][<end_of_turn>][\\n]", 21);
}

static void a_conversation_may_be_cut_into_prompt_and_completion(void **state)
{
    (void)state;
    const char *row = "{\"prompt\":[{\"role\":\"user\",\"content\":\"a\"}],\"completion\":[{\"role\":\"assistant\","
                      "\"content\":\"b\"}]}";
    check_one(row, NULL, USER "a" MODEL "[b][<end_of_turn>][\\n]", 17);
    check_one(row, &assistant, USER "a" MODEL "[b][<end_of_turn>][\\n]", 17);
    const char *later = "{\"prompt\":[{\"role\":\"user\",\"content\":\"a\"}],\"completion\":[{\"role\":\"assistant\","
                        "\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":"
                        "\"d\"}]}";
    check_one(later, NULL,
              USER "a" MODEL "[b][<end_of_turn>][\\n][<start_of_turn>][u][s][e][r][\\n][c][<end_of_turn>][\\n]"
                   "[<start_of_turn>][m][o][d][e][l][\\n][d][<end_of_turn>][\\n]",
              17);
    check_one(later, &assistant,
              USER "a" MODEL "[b][<end_of_turn>][\\n]<start_of_turn>user\\nc" MODEL "[d][<end_of_turn>][\\n]", 36);
}

static void alpaca_rows_become_one_turn(void **state)
{
    (void)state;
    check_one("{\"instruction\":\"a\",\"output\":\"b\"}", NULL, USER "a" MODEL "[b][<end_of_turn>][\\n]", 17);
    check_one("{\"instruction\":\"a\",\"input\":\"\",\"output\":\"b\",\"text\":\"ignored\"}", NULL,
              USER "a" MODEL "[b][<end_of_turn>][\\n]", 17);
    check_one("{\"instruction\":\"a\",\"input\":\"c\",\"output\":\"b\"}", NULL,
              USER "a\n\nc" MODEL "[b][<end_of_turn>][\\n]", 19);
}

static void choices_of_both_publishers_get_one_shape(void **state)
{
    (void)state;
    /* "a" and "b" stand alone here: a space before them makes the piece with the space */
    const char *want = USER "e\\nA.\xe2\x96\x81"
                            "d\\nB.\xe2\x96\x81"
                            "c" MODEL "[B][.][\xe2\x96\x81][c][<end_of_turn>][\\n]";
    static const char *const rows[] = {
        "{\"question\":\"e\",\"options\":{\"A\":\"d\",\"B\":\"c\"},\"answer_idx\":\"B\",\"answer\":\"c\"}",
        "{\"question\":\"e\",\"A\":\"d\",\"B\":\"c\",\"answer\":2,\"cot\":\"x\",\"subject\":\"nurse\",\"year\":2020}",
        "{\"question\":\"e\",\"A\":\"d\",\"B\":\"c\",\"C\":null,\"D\":\"\",\"answer\":\"B\"}",
        "{\"question\":\"e\",\"A\":\"d\",\"B\":\"c\",\"answer\":\"2\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gt_samples s;
        check_one(rows[i], NULL, want, 27);
        assert_ok(load_row(&s, rows[i], NULL));
        assert_int_equal(s.sample[0].choices, 2);
        assert_int_equal(s.sample[0].answer, 1);
        gt_samples_free(&s);
    }
    gt_samples s;
    const char *csv = row_text("kormedmcqa.csv", "subject,year,period,q_number,question,A,B,C,D,E,answer,cot\r\n"
                                                 "nurse,2020,1,3,e,d,c,,,,2,\"x, \"\"y\"\"\"\r\n");
    assert_ok(load_rows(&s, csv, shared_small_tokenizer(), NULL));
    char *got = show(&s.sample[0]);
    assert_string_equal(got, want);
    free(got);
    gt_samples_free(&s);
}

/* A sample is the same whatever stands in `cot`; rows that have a text there are counted. */
static void an_explanation_is_counted_and_not_learnt(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        size_t counted;
    } cases[] = {{"", 0},
                 {",\"cot\":\"c, because d\"", 1},
                 {",\"cot\":\"\"", 0},
                 {",\"cot\":null", 0},
                 {",\"cot\":[\"x\"]", 0},
                 {",\"cot\":7", 0}};
    gt_sample first = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char row[200];
        snprintf(row, sizeof row, "{\"question\":\"e\",\"A\":\"d\",\"B\":\"c\",\"answer\":2%s}", cases[i].member);
        gt_json_doc *doc;
        gt_sample made;
        gt_row_notes notes = {0};
        assert_ok(gt_json_parse(&doc, row, strlen(row), "row"));
        assert_ok(gt_row_sample(&made, gt_json_root(doc), &(gt_load_options){0}, shared_small_tokenizer(), &notes));
        gt_json_free(doc);
        assert_int_equal(notes.explained, cases[i].counted);
        if (i == 0) {
            first = made;
            continue;
        }
        assert_int_equal(made.n, first.n);
        assert_memory_equal(made.ids, first.ids, (size_t)first.n * sizeof *first.ids);
        assert_memory_equal(made.label, first.label, (size_t)first.n);
        gt_sample_free(&made);
    }
    gt_sample_free(&first);
}

static void ids_are_taken_as_they_are_without_a_tokenizer(void **state)
{
    (void)state;
    gt_samples s;
    const char *path =
        row_text("ids.jsonl", "{\"ids\":[2,7,8,9],\"prompt_tokens\":2,\"messages\":[]}\n{\"ids\":[2,5]}\n");
    assert_ok(load_rows(&s, path, NULL, NULL));
    assert_int_equal(s.count, 2);
    assert_int_equal(s.sample[0].ids[3], 9);
    assert_memory_equal(s.sample[0].label, ((uint8_t[]){0, 0, 1, 1}), 4);
    assert_int_equal(s.sample[0].prompt_tokens, 2);
    assert_memory_equal(s.sample[1].label, ((uint8_t[]){0, 1}), 2);
    assert_int_equal(s.sample[1].row, 1);
    assert_int_equal(s.tokens, 6);
    assert_int_equal(s.supervised, 3);
    assert_int_equal(s.longest, 4);
    gt_samples_free(&s);
    assert_fails(load_rows(&s, row_text("text.jsonl", "{\"text\":\"a\"}"), NULL, NULL), GT_ERR_CONFIG, "tokenizer");
}

static void rows_without_a_supervised_token_are_dropped_and_counted(void **state)
{
    (void)state;
    gt_samples s;
    const char *rows = "{\"ids\":[2,7,8,9],\"prompt_tokens\":4}\n{\"ids\":[2,7,8,9],\"prompt_tokens\":1}\n"
                       "{\"ids\":[2,7,8,9],\"prompt_tokens\":3}\n";
    assert_ok(load_row(&s, rows, &(gt_load_options){.max_length = 3}));
    assert_int_equal(s.count, 1);
    assert_int_equal(s.rows_read, 3);
    assert_int_equal(s.rows_unsupervised, 2);
    assert_int_equal(s.rows_truncated, 3);
    assert_int_equal(s.sample[0].row, 1);
    assert_true(s.sample[0].truncated);
    assert_int_equal(s.sample[0].n, 3);
    gt_samples_free(&s);
    assert_ok(load_row(&s, rows, &(gt_load_options){.max_length = 3, .keep_unsupervised = true}));
    assert_int_equal(s.count, 3);
    assert_int_equal(s.sample[0].prompt_tokens, 3);
    assert_int_equal(s.sample[0].supervised, 0);
    gt_samples_free(&s);
    assert_fails(load_row(&s, "{\"ids\":[2,7],\"prompt_tokens\":2}", NULL), GT_ERR_DATA, "supervised");
    assert_fails(load_row(&s, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", NULL), GT_ERR_DATA,
                 "supervised");
}

static void options_that_do_not_fit_a_row_are_refused(void **state)
{
    (void)state;
    gt_samples s;
    assert_fails(load_row(&s, "{\"text\":\"a\"}", &completion), GT_ERR_DATA, "completion_only_loss");
    assert_fails(load_row(&s, "{\"ids\":[2,3]}", &completion), GT_ERR_DATA, "completion_only_loss");
    assert_fails(load_row(&s, "{\"text\":\"a\"}", &assistant), GT_ERR_DATA, "assistant_only_loss");
    assert_fails(load_row(&s, "{\"prompt\":\"a\",\"completion\":\"b\"}", &assistant), GT_ERR_DATA,
                 "assistant_only_loss");
    assert_fails(load_row(&s, "{\"ids\":[2,3]}", &assistant), GT_ERR_DATA, "assistant_only_loss");
}

static void a_row_with_no_or_two_bos_is_refused(void **state)
{
    (void)state;
    gt_samples s;
    const gt_load_options special = {.parse_special = true}, scoring = {.keep_unsupervised = true};
    assert_fails(load_row(&s, "{\"ids\":[2,2,5]}", NULL), GT_ERR_DATA, "appears 2 times");
    assert_fails(load_row(&s, "{\"ids\":[5,6]}", NULL), GT_ERR_DATA, "appears 0 times");
    assert_fails(load_row(&s, "{\"text\":\"a<bos>b\"}", &special), GT_ERR_DATA, "appears 2 times");
    assert_fails(
        load_row(&s,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"<bos>\"},{\"role\":\"assistant\",\"content\":"
                 "\"b\"}]}",
                 &special),
        GT_ERR_DATA, "appears 2 times");
    assert_ok(load_row(&s, "{\"ids\":[5,6]}", &scoring));
    gt_samples_free(&s);
}

static void the_identity_changes_with_every_id_label_and_row_number(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"ids\":[2,7,8]}",
        "{\"ids\":[2,7,9]}",
        "{\"ids\":[2,7,8],\"prompt_tokens\":2}",
        "{\"ids\":[2],\"prompt_tokens\":1}\n{\"ids\":[2,7,8]}",
        "{\"ids\":[2,7]}\n{\"ids\":[2,8]}",
        "{\"ids\":[2,8]}\n{\"ids\":[2,7]}",
    };
    enum { N = sizeof rows / sizeof *rows };
    gt_samples s[N], again;
    for (int i = 0; i < N; i++) assert_ok(load_row(&s[i], rows[i], NULL));
    for (int i = 0; i < N; i++) {
        assert_ok(load_row(&again, rows[i], NULL));
        assert_memory_equal(again.sha256, s[i].sha256, 32);
        gt_samples_free(&again);
        for (int j = 0; j < i; j++) assert_memory_not_equal(s[i].sha256, s[j].sha256, 32);
    }
    for (int i = 0; i < N; i++) gt_samples_free(&s[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_supervised_whole_with_its_end),
        cmocka_unit_test(a_prompt_is_context_for_its_completion),
        cmocka_unit_test(a_conversation_supervises_its_last_answer_or_every_one),
        cmocka_unit_test(sharegpts_spelling_gives_the_same_conversation),
        cmocka_unit_test(a_conversation_may_be_cut_into_prompt_and_completion),
        cmocka_unit_test(alpaca_rows_become_one_turn),
        cmocka_unit_test(choices_of_both_publishers_get_one_shape),
        cmocka_unit_test(an_explanation_is_counted_and_not_learnt),
        cmocka_unit_test(ids_are_taken_as_they_are_without_a_tokenizer),
        cmocka_unit_test(rows_without_a_supervised_token_are_dropped_and_counted),
        cmocka_unit_test(options_that_do_not_fit_a_row_are_refused),
        cmocka_unit_test(a_row_with_no_or_two_bos_is_refused),
        cmocka_unit_test(the_identity_changes_with_every_id_label_and_row_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
