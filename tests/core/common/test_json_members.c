/* Reading the members of a document of ours: each kind, its range, and words that say what was found and what was
 * expected. */
#include "testing.h"

#include "json_members.h"

#include <stdio.h>
#include <string.h>

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* A document's own words; what it was told is kept for a closer look. */
static gt_member_fault fault;
static gt_status refuse(const gt_json_members *m, const gt_member_fault *f)
{
    fault = *f;
    return GT_FAIL(GT_ERR_DATA, "%s of %s: kind %d", f->key, m->name, (int)f->expected);
}

static gt_json_members open_text(gt_json_doc **doc, const char *text)
{
    gt_json_members m;
    assert_ok(gt_json_parse(doc, text, strlen(text), "test"));
    assert_ok(gt_members_open(&m, gt_json_root(*doc), "test", "it", refuse));
    return m;
}

static void members_of_every_kind_are_read_and_what_is_left_is_counted(void **state)
{
    (void)state;
    gt_json_doc *doc;
    gt_json_members m =
        open_text(&doc, "{\"int\": -7, \"big\": 9223372036854775807, \"real\": 0.5, \"flag\": true, \"text\": \"abc\", "
                        "\"digest\": \"" DIGEST "\", \"list\": [1, 2], \"inner\": {\"x\": 1, \"y\": 2}, \"new\": 0}");
    int i = 0;
    int64_t big = 0;
    double real = 0;
    bool flag = false;
    const char *text, *digest;
    const gt_json *list;
    gt_json_members inner;
    assert_ok(gt_members_int(&m, "int", -7, 7, &i));
    assert_ok(gt_members_int64(&m, "big", 0, INT64_MAX, &big));
    assert_ok(gt_members_number(&m, "real", 0.5, 0.5, &real));
    assert_ok(gt_members_bool(&m, "flag", &flag));
    assert_ok(gt_members_text(&m, "text", 3, &text));
    assert_ok(gt_members_digest(&m, "digest", &digest));
    assert_ok(gt_members_array(&m, "list", &list));
    assert_ok(gt_members_object(&m, "inner", &inner));
    assert_int_equal(i, -7);
    assert_true(big == INT64_MAX && real == 0.5 && flag);
    assert_string_equal(text, "abc");
    assert_string_equal(digest, DIGEST);
    assert_int_equal(list->count, 2);
    assert_ok(gt_members_int(&inner, "x", 0, 1, &i));
    assert_string_equal(inner.name, "inner");
    assert_int_equal(gt_members_left(&inner), 1);
    assert_int_equal(gt_members_left(&m), 1);
    assert_null(gt_members_take(&m, "absent"));
    assert_int_equal(gt_members_left(&m), 1);
    gt_json_free(doc);
}

/* Every reader, on values that are almost right. */
static void a_member_that_is_absent_or_of_another_kind_or_out_of_range_is_refused(void **state)
{
    (void)state;
    static const char too_long[] = "\"x\": \"" DIGEST "0\"";
    static const char *const members[] = {
        "\"x\": \"1\"",
        "\"x\": 1.0",
        "\"x\": 1e0",
        "\"x\": null",
        "\"x\": 3",
        "\"x\": -1",
        "\"x\": []",
        "\"x\": \"\"",
        "\"x\": {}",
        "\"y\": 1",
        "\"x\": \"a\\u0000\"",
        "\"x\": \"four\"",
        "\"x\": false",
        too_long,
        "\"x\": \"A0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"",
    };
    static const char accepts[][8] = {
        /* int 0...2, number 0...2, bool, text of 3, digest, array, object: one letter each where it is accepted */
        "t", "n", "n", "", "", "", "a", "t", "o", "", "", "", "b", "", ""};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        char json[200];
        gt_json_doc *doc;
        int n = 99;
        int64_t wide = 99;
        double real = 99;
        bool flag = false;
        const char *text = NULL, *digest = NULL;
        const gt_json *list = NULL;
        gt_json_members inner = {0};
        snprintf(json, sizeof json, "{%s}", members[i]);
        gt_json_members m = open_text(&doc, json);
        const struct {
            char letter;
            gt_status st;
        } got[] = {{'i', gt_members_int(&m, "x", 0, 2, &n)},       {'i', gt_members_int64(&m, "x", 0, 2, &wide)},
                   {'n', gt_members_number(&m, "x", 0, 2, &real)}, {'b', gt_members_bool(&m, "x", &flag)},
                   {'t', gt_members_text(&m, "x", 3, &text)},      {'d', gt_members_digest(&m, "x", &digest)},
                   {'a', gt_members_array(&m, "x", &list)},        {'o', gt_members_object(&m, "x", &inner)}};
        for (size_t k = 0; k < sizeof got / sizeof *got; k++) {
            const gt_status want = strchr(accepts[i], got[k].letter) ? GT_OK : GT_ERR_DATA;
            if (got[k].st != want) fail_msg("%s: reader %zu ('%c') gave %d", json, k, got[k].letter, (int)got[k].st);
        }
        assert_true(n == 99 && wide == 99 && !digest);
        assert_true(!!list == (accepts[i][0] == 'a') && !!inner.object == (accepts[i][0] == 'o'));
        gt_json_free(doc);
    }
}

static void the_document_learns_what_was_found_and_what_was_expected(void **state)
{
    (void)state;
    gt_json_doc *doc;
    gt_json_members m = open_text(&doc, "{\"n\": 5}"), inner;
    int n;
    const char *text;
    assert_fails(gt_members_int(&m, "n", 1, 4, &n), GT_ERR_DATA, "n of it: kind 0");
    assert_true(fault.found->integer == 5 && fault.least == 1 && fault.most == 4);
    assert_fails(gt_members_text(&m, "absent", 9, &text), GT_ERR_DATA, "absent of it");
    assert_null(fault.found);
    assert_int_equal(fault.longest, 9);
    assert_fails(gt_members_open(&inner, NULL, "test", "the whole", refuse), GT_ERR_DATA, "the whole of the whole");
    assert_int_equal(fault.expected, GT_MEMBER_OBJECT);
    gt_json_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_every_kind_are_read_and_what_is_left_is_counted),
        cmocka_unit_test(a_member_that_is_absent_or_of_another_kind_or_out_of_range_is_refused),
        cmocka_unit_test(the_document_learns_what_was_found_and_what_was_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
