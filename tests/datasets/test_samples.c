/* The sample data is what its README says: columns, counts, balance, no question twice, and every row becomes a sample.
 */
#include "choice.h"
#include "samples.h"
#include "rows.h"
#include "tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES GT_SOURCE_DIR "/datasets/samples/"

static const char *const SPLITS[3] = {"train", "dev", "test"};
static const char *const SUBJECTS[4] = {"dentist", "doctor", "nurse", "pharm"};

/* Questions seen so far, over all files of a kind. */
typedef struct {
    char *text[512];
    size_t count;
} seen;

static void note(seen *s, const gt_json *question)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->text[i], question->string) == 0) fail_msg("'%s' appears twice", question->string);
    assert_true(s->count < sizeof s->text / sizeof *s->text);
    s->text[s->count++] = strdup(question->string);
}

static void forget(seen *s)
{
    for (size_t i = 0; i < s->count; i++) free(s->text[i]);
    s->count = 0;
}

static int subject_of(const gt_json *row)
{
    for (int i = 0; i < 4; i++)
        if (gt_json_is_string(gt_json_get(row, "subject"), SUBJECTS[i])) return i;
    fail_msg("a row has another subject");
    return -1;
}

static void check_choice_row(const gt_json *row)
{
    static const char *const columns[12] = {"subject", "year", "period", "q_number", "question", "A",
                                            "B",       "C",    "D",      "E",        "answer",   "cot"};
    int i = 0;
    for (const gt_json *v = row->child; v; v = v->next, i++) {
        assert_true(i < 12);
        assert_string_equal(columns[i], v->key);
        assert_true(v->length > 0 && v->string[0] != ' ' && v->string[v->length - 1] != ' ');
    }
    assert_int_equal(12, i);
    assert_true(gt_json_get(row, "cot")->length >= 30); /* about ten characters: an explanation, not a word */
    assert_string_equal("0", gt_json_get(row, "year")->string);
}

static void choice_questions_are_complete_balanced_and_different(void **state)
{
    (void)state;
    seen questions = {0};
    bool number[4][61] = {{false}};
    for (int s = 0; s < 3; s++) {
        char path[1024];
        int places[4][5] = {{0}};
        gt_rows *rows;
        snprintf(path, sizeof path, SAMPLES "choice_%s.csv", SPLITS[s]);
        assert_ok(gt_rows_open(&rows, path));
        for (;;) {
            gt_json_doc *doc;
            gt_choice c;
            assert_ok(gt_rows_next(rows, &doc));
            if (!doc) break;
            const gt_json *row = gt_json_root(doc);
            check_choice_row(row);
            assert_ok(gt_choice_read(&c, row));
            assert_int_equal(5, c.count);
            for (int a = 0; a < 5; a++)
                for (int b = 0; b < a; b++) assert_string_not_equal(c.option[a]->string, c.option[b]->string);
            const int subject = subject_of(row), n = atoi(gt_json_get(row, "q_number")->string);
            assert_true(n >= 1 && n <= 60 && !number[subject][n]);
            number[subject][n] = true;
            places[subject][c.answer]++;
            note(&questions, c.question);
            gt_json_free(doc);
        }
        gt_rows_close(rows);
        for (int k = 0; k < 4; k++)
            for (int p = 0; p < 5; p++) assert_int_equal(s == 0 ? 8 : 2, places[k][p]);
    }
    assert_int_equal(240, questions.count);
    forget(&questions);
}

static void health_chats_are_one_question_and_one_answer(void **state)
{
    (void)state;
    seen questions = {0};
    static const size_t want[3] = {80, 20, 20};
    for (int s = 0; s < 3; s++) {
        char path[1024];
        gt_rows *rows;
        size_t count = 0;
        snprintf(path, sizeof path, SAMPLES "health_%s.jsonl", SPLITS[s]);
        assert_ok(gt_rows_open(&rows, path));
        for (gt_json_doc *doc;; count++) {
            assert_ok(gt_rows_next(rows, &doc));
            if (!doc) break;
            const gt_json *list = gt_json_get(gt_json_root(doc), "messages");
            assert_int_equal(2, list->count);
            const gt_json *user = list->child, *assistant = user->next;
            assert_true(gt_json_is_string(gt_json_get(user, "role"), "user"));
            assert_true(gt_json_is_string(gt_json_get(assistant, "role"), "assistant"));
            assert_true(gt_json_get(assistant, "content")->length > 150);
            note(&questions, gt_json_get(user, "content"));
            gt_json_free(doc);
        }
        gt_rows_close(rows);
        assert_int_equal(want[s], count);
    }
    assert_int_equal(120, questions.count);
    forget(&questions);
}

static void every_row_becomes_a_short_sample(void **state)
{
    (void)state;
    const char *const paths[6] = {SAMPLES "choice_train.csv", SAMPLES "choice_dev.csv",
                                  SAMPLES "choice_test.csv",  SAMPLES "health_train.jsonl",
                                  SAMPLES "health_dev.jsonl", SAMPLES "health_test.jsonl"};
    const gt_load_options o = {.path = paths, .paths = 6, .max_length = 512};
    gt_samples samples;
    assert_ok(gt_samples_load(&samples, &o, gemma_tokenizer()));
    print_message("samples: %zu rows, %llu tokens, %llu supervised, longest %d\n", samples.count,
                  (unsigned long long)samples.tokens, (unsigned long long)samples.supervised, samples.longest);
    assert_int_equal(360, samples.count);
    assert_int_equal(0, samples.rows_truncated);
    assert_int_equal(0, samples.rows_refused);
    for (size_t i = 0; i < samples.count; i++) assert_true(samples.sample[i].supervised > 3);
    gt_samples_free(&samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choice_questions_are_complete_balanced_and_different),
        cmocka_unit_test(health_chats_are_one_question_and_one_answer),
        cmocka_unit_test(every_row_becomes_a_short_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
