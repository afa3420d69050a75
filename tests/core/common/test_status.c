/* The record of a failure: its code, words and place, one a thread, cut and cleaned where a file chose the words. */
#include "testing.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static gt_status fails(void)
{
    return GT_FAIL(GT_ERR_DATA, "row %d is %s", 7, "empty");
}

static gt_status passes_on(bool *reached)
{
    GT_TRY(fails());
    *reached = true;
    return GT_OK;
}

static void a_failure_leaves_its_code_words_and_place(void **state)
{
    (void)state;
    assert_int_equal(fails(), GT_ERR_DATA);
    assert_int_equal(gt_error_last()->code, GT_ERR_DATA);
    assert_string_equal(gt_error_last()->message, "row 7 is empty");
    assert_non_null(strstr(gt_error_last()->file, "test_status.c"));
    assert_true(gt_error_last()->line > 0);
}

static void try_returns_the_callees_status_at_once(void **state)
{
    (void)state;
    bool reached = false;
    assert_int_equal(passes_on(&reached), GT_ERR_DATA);
    assert_false(reached);
}

static void a_prefix_goes_before_the_words_and_keeps_the_code(void **state)
{
    (void)state;
    fails();
    assert_int_equal(gt_error_prefix("%s:%d", "a.jsonl", 3), GT_ERR_DATA);
    assert_string_equal(gt_error_last()->message, "a.jsonl:3: row 7 is empty");
}

static void a_record_kept_through_clean_up_comes_back_whole(void **state)
{
    (void)state;
    fails();
    gt_error kept = *gt_error_last();
    kept.elsewhere = true;
    GT_FAIL(GT_ERR_IO, "the clean-up failed too");
    assert_false(gt_error_last()->elsewhere); /* a new failure is this rank's own */
    assert_int_equal(gt_error_restore(&kept, GT_ERR_LOST), GT_ERR_LOST);
    assert_int_equal(gt_error_last()->code, GT_ERR_LOST);
    assert_string_equal(gt_error_last()->message, "row 7 is empty");
    assert_int_equal(gt_error_last()->line, kept.line);
    gt_error_prefix("a.jsonl");
    assert_true(gt_error_last()->elsewhere); /* what is put before the words changes nothing else */
}

static void a_name_from_a_file_cannot_steer_a_terminal(void **state)
{
    (void)state;
    GT_FAIL(GT_ERR_DATA, "tensor '%s'", "a\x1b[2J\x7f\xc2\x9b\xc3\xa9\tb\nc");
    assert_string_equal(gt_error_last()->message, "tensor 'a?[2J???\xc3\xa9\tb\nc'");
}

static void words_may_quote_the_record_itself_and_are_cut_where_they_end(void **state)
{
    (void)state;
    char lots[3000];
    memset(lots, 'x', sizeof lots - 1);
    lots[sizeof lots - 1] = '\0';
    assert_int_equal(GT_FAIL(GT_ERR_IO, "first"), GT_ERR_IO);
    assert_int_equal(GT_FAIL(GT_ERR_CONFIG, "second after %s", gt_error_last()->message), GT_ERR_CONFIG);
    assert_string_equal(gt_error_last()->message, "second after first");
    GT_FAIL(GT_ERR_IO, "%s", lots);
    assert_int_equal(strlen(gt_error_last()->message), sizeof gt_error_last()->message - 1);
    gt_error_prefix("%s", lots);
    assert_int_equal(strlen(gt_error_last()->message), sizeof gt_error_last()->message - 1);
    GT_FAIL(GT_ERR_IO, "%s", lots);
    gt_error_prefix("where");
    assert_memory_equal(gt_error_last()->message, "where: xxx", 10);
}

static void *other_thread(void *arg)
{
    (void)arg;
    GT_FAIL(GT_ERR_NOMEM, "theirs");
    return NULL;
}

static void each_thread_has_its_own_record(void **state)
{
    (void)state;
    pthread_t t;
    GT_FAIL(GT_ERR_IO, "mine");
    assert_int_equal(pthread_create(&t, NULL, other_thread, NULL), 0);
    pthread_join(t, NULL);
    assert_string_equal(gt_error_last()->message, "mine");
}

static void every_status_has_the_exit_code_of_the_header(void **state)
{
    (void)state;
    static const int code[][2] = {{GT_OK, 0},       {GT_ERR_USAGE, 64},   {GT_ERR_DATA, 65}, {GT_ERR_CONFIG, 78},
                                  {GT_ERR_IO, 74},  {GT_ERR_NOMEM, 75},   {GT_ERR_LOST, 75}, {GT_ERR_DEVICE, 70},
                                  {GT_ERR_ARG, 70}, {GT_ERR_INTERNAL, 70}};
    for (size_t i = 0; i < sizeof code / sizeof *code; i++)
        assert_int_equal(gt_status_exit_code((gt_status)code[i][0]), code[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_leaves_its_code_words_and_place),
        cmocka_unit_test(try_returns_the_callees_status_at_once),
        cmocka_unit_test(a_prefix_goes_before_the_words_and_keeps_the_code),
        cmocka_unit_test(a_record_kept_through_clean_up_comes_back_whole),
        cmocka_unit_test(a_name_from_a_file_cannot_steer_a_terminal),
        cmocka_unit_test(words_may_quote_the_record_itself_and_are_cut_where_they_end),
        cmocka_unit_test(each_thread_has_its_own_record),
        cmocka_unit_test(every_status_has_the_exit_code_of_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
