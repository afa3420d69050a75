/* The strict reader: what RFC 8259 allows is read with its value, all else is refused with its place. Cuts of a
 * text lie in memory of their exact size, so that the sanitizers see a byte read behind them. */
#include "testing.h"

#include "json.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static gt_json_doc *parse(const char *text)
{
    gt_json_doc *d;
    assert_ok(gt_json_parse(&d, text, strlen(text), "test"));
    return d;
}

static void values_of_every_type_are_read(void **state)
{
    (void)state;
    gt_json_doc *d = parse(" {\"n\":null, \"t\":true,\"f\":false,\n \"a\":[1,-2.5e1,\"x\"], \"o\":{}, \"s\":\"\"} ");
    const gt_json *r = gt_json_root(d);
    assert_int_equal(r->type, GT_JSON_OBJECT);
    assert_int_equal(r->count, 6);
    assert_int_equal(gt_json_get(r, "n")->type, GT_JSON_NULL);
    assert_int_equal(gt_json_get(r, "t")->type, GT_JSON_TRUE);
    assert_int_equal(gt_json_get(r, "f")->type, GT_JSON_FALSE);
    const gt_json *a = gt_json_get(r, "a");
    assert_int_equal(a->count, 3);
    assert_true(a->child->is_integer && a->child->integer == 1);
    assert_true(!a->child->next->is_integer && a->child->next->number == -25.0);
    assert_true(gt_json_is_string(a->child->next->next, "x"));
    assert_null(a->child->next->next->next);
    assert_int_equal(gt_json_get(r, "o")->count, 0);
    assert_null(gt_json_get(r, "o")->child);
    assert_int_equal(gt_json_get(r, "s")->length, 0);
    assert_string_equal(gt_json_get(r, "s")->key, "s");
    assert_null(gt_json_get(r, "absent"));
    assert_null(gt_json_get(a, "x"));
    assert_null(gt_json_get(NULL, "x"));
    assert_false(gt_json_is_string(NULL, "x"));
    assert_int_equal(gt_json_get(r, "t")->offset, 16);
    gt_json_free(d);
    gt_json_free(NULL);
}

static void numbers_keep_their_value(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double number;
        bool is_integer;
        int64_t integer;
    } c[] = {
        {"0", 0, true, 0},
        {"-0", 0, true, 0},
        {"9223372036854775807", 9223372036854775807.0, true, INT64_MAX},
        {"-9223372036854775808", -9223372036854775808.0, true, INT64_MIN},
        {"9223372036854775808", 9223372036854775808.0, false, 0},
        {"18446744073709551616", 18446744073709551616.0, false, 0},
        {"1e3", 1000, false, 0},
        {"1.0", 1, false, 0},
        {"2E-4", 2e-4, false, 0},
        {"-1.5e+300", -1.5e300, false, 0},
        {"1e-400", 0, false, 0},
        {"0.1", 0.1, false, 0},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        gt_json_doc *d = parse(c[i].text);
        const gt_json *v = gt_json_root(d);
        assert_true(v->number == c[i].number);
        assert_int_equal(v->is_integer, c[i].is_integer);
        assert_true(v->integer == c[i].integer);
        gt_json_free(d);
    }
    gt_json_doc *d = parse("-0");
    assert_true(signbit(gt_json_root(d)->number));
    gt_json_free(d);
}

static void strings_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
        size_t length;
    } c[] = {
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"\\u0041\\u00e9\\ud55c\"", "A\xc3\xa9\xed\x95\x9c", 6},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4},
        {"\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf", 4},
        {"\"a\\u0000b\"", "a\0b", 3},
        {"\"\xed\x95\x9c \x7f\"", "\xed\x95\x9c \x7f", 5},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        gt_json_doc *d = parse(c[i].text);
        const gt_json *v = gt_json_root(d);
        assert_int_equal(v->length, c[i].length);
        assert_memory_equal(v->string, c[i].want, c[i].length + 1);
        assert_int_equal(gt_json_c_string(v), i != 4);
        gt_json_free(d);
    }
}

static void what_rfc_8259_forbids_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } c[] = {
        {"", "the text ends"},
        {"   ", "column 4"},
        {"{} x", "bytes after the value"},
        {"1 2", "bytes after the value"},
        {"[1,]", "column 4"},
        {"[,1]", "a value is expected"},
        {"{\"a\":1,}", "member name"},
        {"{a:1}", "member name"},
        {"{\"a\" 1}", "':' is expected"},
        {"{\"a\":}", "a value is expected"},
        {"{\"a\":1 \"b\":2}", "',' or '}'"},
        {"[1 2]", "',' or ']'"},
        {"[1", "',' or ']'"},
        {"{\"a\":1", "',' or '}'"},
        {"[}", "a value is expected"},
        {"nul", "a value is expected"},
        {"True", "a value is expected"},
        {"NaN", "a value is expected"},
        {"-Infinity", "a digit"},
        {"Infinity", "a value is expected"},
        {"01", "leading zero"},
        {"-01", "leading zero"},
        {"1.", "a digit"},
        {".5", "a value is expected"},
        {"+1", "a value is expected"},
        {"1e", "a digit"},
        {"1e+", "a digit"},
        {"-", "a digit"},
        {"0x10", "bytes after the value"},
        {"1e999", "beyond the range"},
        {"\"abc", "does not end"},
        {"\"abc\\", "ends inside"},
        {"\"abc\\\"", "does not end"},
        {"\"\\x41\"", "unknown escape"},
        {"\"\\u12\"", "four hexadecimal"},
        {"\"\\u12G4\"", "four hexadecimal"},
        {"\"\\ud800\"", "high surrogate"},
        {"\"\\ud800\\n\"", "high surrogate"},
        {"\"\\ud800\\u0041\"", "high surrogate"},
        {"\"\\ud800\\u", "high surrogate"},
        {"\"\\udc00\"", "low surrogate"},
        {"\"a\nb\"", "control character"},
        {"\"a\tb\"", "control character"},
        {"\"\xff\"", "invalid UTF-8"},
        {"\"\xc0\x80\"", "invalid UTF-8"},
        {"\"\xed\xa0\x80\"", "invalid UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "invalid UTF-8"},
        {"\"\xed\x95", "invalid UTF-8"},
        {"\xef\xbb\xbf{}", "byte order mark"},
        {"{\"a\":1,\"a\":2}", "'a' appears twice"},
        {"{\"a\":1,\"\\u0061\":2}", "'a' appears twice"},
        {"{'a':1}", "member name"},
        {"// x\n1", "a value is expected"},
        {"[\n1,\n  x]", "line 3, column 3"},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        gt_json_doc *d = (gt_json_doc *)1;
        assert_fails(gt_json_parse(&d, c[i].text, strlen(c[i].text), "rows.jsonl:7"), GT_ERR_DATA, c[i].words);
        assert_memory_equal(gt_error_last()->message, "rows.jsonl:7: ", 14);
        assert_ptr_equal(d, (gt_json_doc *)1);
    }
    gt_json_doc *d;
    assert_fails(gt_json_parse(&d, "1\0", 2, "t"), GT_ERR_DATA, "bytes after");
    assert_fails(gt_json_parse(&d, "\"a\0b\"", 5, "t"), GT_ERR_DATA, "control character");
}

static void nesting_is_limited(void **state)
{
    (void)state;
    static char text[2000001];
    gt_json_doc *d;
    memset(text, '[', 1000000);
    memset(text + 1000000, ']', 1000000);
    assert_fails(gt_json_parse(&d, text, 2000000, "t"), GT_ERR_DATA, "64 levels");
    assert_fails(gt_json_parse(&d, text + 1000000 - 65, 130, "t"), GT_ERR_DATA, "64 levels");
    assert_ok(gt_json_parse(&d, text + 1000000 - 64, 128, "t"));
    gt_json_free(d);
}

static void a_text_that_is_all_values_is_refused_before_it_eats_the_memory(void **state)
{
    (void)state;
    size_t size = 16 << 20;
    char *text = malloc(size);
    gt_json_doc *d;
    for (size_t i = 0; i < size; i += 2) memcpy(text + i, "0,", 2);
    text[0] = '[';
    text[1] = ' ';
    text[size - 1] = ']';
    assert_fails(gt_json_parse(&d, text, size, "t"), GT_ERR_DATA, "more values");
    free(text);
}

/* As Gemma's tokenizer.json when it is written without spaces: 262,145 pieces and 513,976 pairs in 14 MB. */
static void a_tokenizer_without_spaces_is_read(void **state)
{
    (void)state;
    gt_text text = {0};
    gt_json_doc *d;
    gt_text_addf(&text, "{\"vocab\":{");
    for (int i = 0; i < 262145; i++) gt_text_addf(&text, "%s\"%x\":%d", i ? "," : "", 16777216 + i, i);
    gt_text_addf(&text, "},\"merges\":[");
    for (int i = 0; i < 513976; i++) gt_text_addf(&text, "%s[\"abcd\",\"defgh\"]", i ? "," : "");
    gt_text_addf(&text, "]}");
    assert_in_range(text.size, 12 << 20, 15 << 20);
    assert_fails(gt_json_parse(&d, text.data, text.size, "t"), GT_ERR_DATA, "more values");
    assert_ok(gt_json_parse_dense(&d, text.data, text.size, "t"));
    assert_int_equal(gt_json_get(gt_json_root(d), "merges")->count, 513976);
    gt_json_free(d);
    gt_text_free(&text);
}

static void members_of_a_large_object_are_found_at_once_and_duplicates_too(void **state)
{
    (void)state;
    enum { N = 100000 };
    gt_text t = {0};
    gt_text_add(&t, "{", 1);
    for (int i = 0; i < N; i++) gt_text_addf(&t, "%s\"key %d\":%d", i ? "," : "", i, i);
    size_t size = t.size;
    gt_text_add(&t, "}", 1);
    gt_json_doc *d;
    assert_ok(gt_json_parse(&d, t.data, t.size, "t"));
    clock_t begin = clock();
    for (int i = 0; i < N; i++) {
        char key[32];
        snprintf(key, sizeof key, "key %d", i);
        const gt_json *v = gt_json_get(gt_json_root(d), key);
        assert_non_null(v);
        assert_int_equal(v->integer, i);
    }
    assert_null(gt_json_get(gt_json_root(d), "key"));
    /* a search from the front would take minutes */
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5.0);
    gt_json_free(d);
    t.size = size;
    gt_text_addf(&t, ",\"key 77\":1}");
    assert_fails(gt_json_parse(&d, t.data, t.size, "t"), GT_ERR_DATA, "'key 77' appears twice");
    gt_text_free(&t);
}

static void what_is_written_as_a_string_reads_back(void **state)
{
    (void)state;
    char bytes[256 + 5];
    for (int i = 0; i < 128; i++) bytes[i] = (char)i;
    memcpy(bytes + 128, "\xed\x95\x9c\xf0\x9f\x98\x80", 7);
    gt_text t = {0};
    gt_text_add_json_string(&t, bytes, 135);
    gt_json_doc *d;
    assert_ok(gt_json_parse(&d, t.data, t.size, "t"));
    assert_int_equal(gt_json_root(d)->length, 135);
    assert_memory_equal(gt_json_root(d)->string, bytes, 135);
    gt_json_free(d);
    gt_text_free(&t);
}

static void every_cut_of_a_text_is_refused_and_reads_nothing_behind_it(void **state)
{
    (void)state;
    const char *text = "{\"a\":[1,-2.5e3,true,null,\"\\u00e9\\ud83d\\ude00\xed\x95\x9c\"],\"b\":{\"c\":false}}";
    for (size_t n = 0; n < strlen(text); n++) {
        char *cut = malloc(n ? n : 1); /* of exact size: the sanitizer sees a byte too far */
        memcpy(cut, text, n);
        gt_json_doc *d;
        assert_int_equal(gt_json_parse(&d, cut, n, "t"), GT_ERR_DATA);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_type_are_read),
        cmocka_unit_test(numbers_keep_their_value),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(what_rfc_8259_forbids_is_refused_with_its_place),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(a_text_that_is_all_values_is_refused_before_it_eats_the_memory),
        cmocka_unit_test(a_tokenizer_without_spaces_is_read),
        cmocka_unit_test(members_of_a_large_object_are_found_at_once_and_duplicates_too),
        cmocka_unit_test(what_is_written_as_a_string_reads_back),
        cmocka_unit_test(every_cut_of_a_text_is_refused_and_reads_nothing_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
