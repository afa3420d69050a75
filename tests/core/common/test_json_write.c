/* Whatever is written reads back as the same value, by our reader and by cJSON's: digits, order, bytes that are no
 * UTF-8, and no memory. */
#include "testing.h"

#include "json.h"
#include "json_write.h"

#include <cJSON.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gt_status write_all(gt_text *out, gt_json_layout layout)
{
    gt_json_writer w = {0};
    gt_json_node *root = gt_json_begin(&w);
    gt_json_add_text(&w, root, "text", "a\"b\n\xed\x95\x9c");
    gt_json_add_text(&w, root, "none", NULL);
    gt_json_add_bool(&w, root, "yes", true);
    gt_json_node *list = gt_json_add_array(&w, root, "list");
    gt_json_add_int(&w, list, NULL, -3);
    gt_json_add_raw(&w, list, NULL, "[1,2]");
    gt_json_node *inner = gt_json_add_object(&w, root, "inner");
    gt_json_add_number(&w, inner, "half", 0.5, 17);
    gt_json_add_null(&w, root, "null");
    return gt_json_end(&w, out, layout, "here");
}

static void members_come_in_the_order_they_were_added(void **state)
{
    (void)state;
    gt_text text = {0};
    assert_ok(write_all(&text, GT_JSON_LINE));
    assert_string_equal(text.data, "{\"text\":\"a\\\"b\\n\xed\x95\x9c\",\"none\":null,\"yes\":true,\"list\":[-3,[1,2]],"
                                   "\"inner\":{\"half\":0.5},\"null\":null}");
    gt_text_clear(&text);
    gt_text_addf(&text, "before ");
    assert_ok(write_all(&text, GT_JSON_PAGE));
    assert_non_null(strstr(text.data, "before {\n\t\"text\":"));
    assert_string_equal(text.data + text.size - 3, "\n}\n");
    gt_text_free(&text);
}

/* The text of one number. */
static const char *number(void (*add)(gt_json_writer *w, gt_json_node *root))
{
    static char out[80];
    gt_text text = {0};
    gt_json_writer w = {0};
    add(&w, gt_json_begin(&w));
    assert_ok(gt_json_end(&w, &text, GT_JSON_LINE, "here"));
    snprintf(out, sizeof out, "%.*s", (int)text.size - 6, text.data + 5); /* {"n":...} */
    gt_text_free(&text);
    return out;
}

static double value;
static int digits;
static void add_number(gt_json_writer *w, gt_json_node *root)
{
    gt_json_add_number(w, root, "n", value, digits);
}
static void add_real(gt_json_writer *w, gt_json_node *root)
{
    gt_json_add_real(w, root, "n", value);
}
static void add_real32(gt_json_writer *w, gt_json_node *root)
{
    gt_json_add_real32(w, root, "n", (float)value);
}

static void numbers_are_spelled_as_their_readers_want_them(void **state)
{
    (void)state;
    static const struct {
        double value;
        int digits;
        const char *number, *real;
    } c[] = {{0, 17, "0", "0.0"},
             {16, 17, "16", "16.0"},
             {-2, 9, "-2", "-2.0"},
             {0.05, 17, "0.05", "0.05"},
             {1e6, 17, "1000000", "1e+06"},
             {123456789, 9, "123456789", "123456789.0"},
             {1234567891234, 9, "1234567891234", "1234567891234.0"},
             {9007199254740991, 9, "9007199254740991", "9007199254740991.0"},
             {1e300, 17, "1e+300", "1e+300"},
             {2e-5, 9, "2e-05", "2e-05"},
             {1.0 / 3, 9, "0.333333333", "0.3333333333333333"},
             {0.1 + 0.2, 17, "0.30000000000000004", "0.30000000000000004"}, /* which cJSON prints as 0.3 */
             {NAN, 9, "null", "null"},
             {INFINITY, 17, "null", "null"},
             {-INFINITY, 17, "null", "null"}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        value = c[i].value;
        digits = c[i].digits;
        assert_string_equal(number(add_number), c[i].number);
        assert_string_equal(number(add_real), c[i].real);
    }
    value = (double)1e-6f;
    assert_string_equal(number(add_real32), "1e-06"); /* as a double it would be 9.999999974752427e-07 */
    value = (double)INFINITY;
    assert_string_equal(number(add_real32), "null");
}

static int64_t integer;
static void add_int(gt_json_writer *w, gt_json_node *root)
{
    gt_json_add_int(w, root, "n", integer);
}

static void numbers_read_back_as_the_same_bits(void **state)
{
    (void)state;
    static const int64_t integers[] = {INT64_MAX, INT64_MIN, (1ll << 53) + 1, 1000000000000000, 0};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        integer = integers[i];
        assert_true(strtoll(number(add_int), NULL, 10) == integer);
        assert_null(strpbrk(number(add_int), ".e"));
    }
    static const double reals[] = {DBL_MIN, DBL_MAX, DBL_TRUE_MIN, 0.1, 2.0 / 3, 1 + DBL_EPSILON, -1e-300, 5e15 + 1};
    digits = 17;
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        value = reals[i];
        assert_true(strtod(number(add_number), NULL) == value);
        assert_true(strtod(number(add_real), NULL) == value);
    }
    static const float floats[] = {FLT_MIN, FLT_MAX, FLT_TRUE_MIN, 0.1f, 1 + FLT_EPSILON, 16777217.0f};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        value = (double)floats[i];
        assert_true(strtof(number(add_real32), NULL) == floats[i]);
        assert_true(strlen(number(add_real32)) <= 15); /* 9 digits, sign, point, exponent */
    }
}

static void bytes_that_no_string_can_hold_are_mended(void **state)
{
    (void)state;
    gt_text text = {0};
    gt_json_writer w = {0};
    gt_json_node *root = gt_json_begin(&w);
    gt_json_add_bytes(&w, root, "a", "x\xff\xfey\0z", 6);
    gt_json_add_text(&w, root, "b", "\xed\x95");
    gt_json_add_text(&w, root, "c", "\x01\x7f");
    gt_json_add_text(&w, root, "d", "");
    assert_ok(gt_json_end(&w, &text, GT_JSON_LINE, "here"));
    assert_string_equal(text.data,
                        "{\"a\":\"x\xef\xbf\xbd\xef\xbf\xbdy\xef\xbf\xbdz\",\"b\":\"\xef\xbf\xbd\xef\xbf\xbd\","
                        "\"c\":\"\\u0001\x7f\",\"d\":\"\"}");
    gt_text_free(&text);
}

static int allocations_left;
static void *scarce(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Every allocation of the tree and of its printing fails once. */
static void want_of_memory_is_told_once_and_nothing_is_written(void **state)
{
    (void)state;
    gt_text text = {0};
    int failures = 0;
    gt_status st = GT_ERR_NOMEM;
    cJSON_InitHooks(&(cJSON_Hooks){scarce, free});
    for (; st != GT_OK && failures < 1000; failures++) {
        allocations_left = failures;
        st = write_all(&text, GT_JSON_PAGE);
        if (st == GT_OK) break;
        assert_int_equal(st, GT_ERR_NOMEM);
        assert_non_null(strstr(gt_error_last()->message, "here"));
        assert_int_equal(text.size, 0);
    }
    cJSON_InitHooks(NULL);
    assert_int_equal(st, GT_OK);
    assert_true(failures > 20);
    gt_text_free(&text);
}

static void a_document_can_be_given_up(void **state)
{
    (void)state;
    gt_json_writer w = {0};
    gt_json_abandon(&w);
    gt_json_add_int(&w, gt_json_add_array(&w, gt_json_begin(&w), "list"), NULL, 1);
    gt_json_abandon(&w);
    gt_json_abandon(&w);
    assert_null(w.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_in_the_order_they_were_added),
        cmocka_unit_test(numbers_are_spelled_as_their_readers_want_them),
        cmocka_unit_test(numbers_read_back_as_the_same_bits),
        cmocka_unit_test(bytes_that_no_string_can_hold_are_mended),
        cmocka_unit_test(want_of_memory_is_told_once_and_nothing_is_written),
        cmocka_unit_test(a_document_can_be_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
