/* What cJSON would let pass, or quietly round, in a config is refused or said: the strict reader stands before it. */
#include "testing.h"

#include "json_config.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

static void members_are_found_and_null_is_not_set(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": 640, \"A\": 1.0, \"b\": null, \"c\": \"x\", \"d\": 0.5, \"e\": -1, \"f\": 1e3, "
                               "\"g\": 12345678901234567890}";
    cJSON *root;
    assert_ok(gt_config_parse(&root, text, sizeof text - 1, "c"));
    assert_true(gt_config_is_whole(gt_config_get(root, "a"), 640, 640));
    assert_true(gt_config_is_whole(gt_config_get(root, "A"), 0, 1)); /* keys are told apart by case */
    assert_true(gt_config_is_whole(gt_config_get(root, "f"), 0, 1000));
    assert_null(gt_config_get(root, "b"));
    assert_null(gt_config_get(root, "absent"));
    assert_null(gt_config_get(gt_config_get(root, "c"), "a"));
    assert_true(gt_config_is_string(gt_config_get(root, "c"), "x"));
    assert_false(gt_config_is_string(gt_config_get(root, "c"), "X"));
    assert_false(gt_config_is_string(gt_config_get(root, "a"), "640"));
    assert_false(gt_config_is_string(NULL, "x"));
    static const char *const not_whole[] = {"b", "c", "d", "e", "g"};
    for (size_t i = 0; i < sizeof not_whole / sizeof *not_whole; i++)
        assert_false(gt_config_is_whole(gt_config_get(root, not_whole[i]), 0, 1000));
    assert_string_equal(gt_config_shown(gt_config_get(root, "c")), "x");
    assert_string_equal(gt_config_shown(gt_config_get(root, "a")), "?");
    assert_string_equal(gt_config_shown(NULL), "?");
    cJSON_Delete(root);
}

/* What cJSON alone would read, and read wrongly. */
static void what_cjson_lets_pass_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } c[] = {
        {"{\"a\":1} x", "bytes after"},
        {"{\"a\":1,\"a\":2}", "twice"},
        {"{\"a\":\"\xff\"}", "UTF-8"},
        {"{\"a\":01}", "leading zero"},
        {"{\"a\":\"x\\u0000y\"}", "'a' holds U+0000"},
        {"{\"a\":[1,{\"b\\u0000c\":1}]}", "'a' holds U+0000"},
        {"\"x\\u0000\"", "holds U+0000"},
        {"\xef\xbb\xbf{}", "byte order mark"},
        {"", "the text ends"},
        {"{\"a\":\"", "does not end"},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        cJSON *root = NULL;
        assert_fails(gt_config_parse(&root, c[i].text, strlen(c[i].text), "c.json"), GT_ERR_DATA, c[i].words);
        assert_non_null(strstr(gt_error_last()->message, "c.json"));
        assert_null(root);
    }
}

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void want_of_memory_is_told(void **state)
{
    (void)state;
    cJSON *root = NULL;
    cJSON_InitHooks(&(cJSON_Hooks){no_memory, free});
    const gt_status st = gt_config_parse(&root, "{\"a\":1}", 7, "c");
    cJSON_InitHooks(NULL);
    assert_int_equal(st, GT_ERR_NOMEM);
    assert_null(root);
}

/* A config's text is a file's: nothing behind its size is read. */
static void the_text_needs_no_terminator(void **state)
{
    (void)state;
    cJSON *root;
    assert_ok(gt_config_parse(&root, "{\"a\":12}345", 8, "c"));
    assert_true(gt_config_is_whole(gt_config_get(root, "a"), 12, 12));
    cJSON_Delete(root);
    assert_fails(gt_config_parse(&root, "{\"a\":12}", 7, "c"), GT_ERR_DATA, "expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_and_null_is_not_set),
        cmocka_unit_test(what_cjson_lets_pass_is_refused),
        cmocka_unit_test(want_of_memory_is_told),
        cmocka_unit_test(the_text_needs_no_terminator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
