/* Growing texts, and UTF-8 both ways for every scalar and every wrong byte. */
#include "testing.h"

#include "text.h"
#include "utf8.h"

#include <string.h>

static void text_grows_by_bytes_and_by_formats(void **state)
{
    (void)state;
    gt_text t = {0};
    for (int i = 0; i < 1000; i++) gt_text_addf(&t, "%d,", i);
    gt_text_add(&t, "a\0b", 3);
    assert_int_equal(t.size, 10 * 2 + 90 * 3 + 900 * 4 + 3);
    assert_memory_equal(t.data, "0,1,2,", 6);
    assert_memory_equal(t.data + t.size - 3, "a\0b", 4);
    gt_text_clear(&t);
    assert_int_equal(t.size, 0);
    gt_text_add(&t, "", 0);
    assert_string_equal(t.data, "");
    gt_text_free(&t);
    gt_text_free(&t);
    gt_text_free(NULL);
}

static void a_string_begins_and_ends_with_itself_with_nothing_and_with_its_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
        bool begins, ends;
    } c[] = {{"a.gguf", ".gguf", false, true},
             {"a.gguf", "a.g", true, false},
             {"a", "ba", false, false},
             {"aa", "a", true, true},
             {"a", "a", true, true},
             {"a", "", true, true},
             {"", "", true, true},
             {"", "a", false, false},
             {"ab", "ba", false, false}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        assert_int_equal(gt_begins_with(c[i].text, c[i].part), c[i].begins);
        assert_int_equal(gt_ends_with(c[i].text, c[i].part), c[i].ends);
    }
}

static void json_strings_are_escaped_and_mended(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *want;
    } c[] = {
        {"plain", 5, "\"plain\""},
        {"", 0, "\"\""},
        {"q\"b\\n\nt\tr\r", 10, "\"q\\\"b\\\\n\\nt\\tr\\r\""},
        {"\0\x1f", 2, "\"\\u0000\\u001f\""},
        {"\xed\x95\x9c", 3, "\"\xed\x95\x9c\""},
        {"a\xff\xfe z", 5, "\"a\xef\xbf\xbd\xef\xbf\xbd z\""},
        {"\xed\x95", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        gt_text t = {0};
        gt_text_add_json_string(&t, c[i].bytes, c[i].size);
        assert_string_equal(t.data, c[i].want);
        gt_text_free(&t);
    }
}

static void sizes_are_told_in_the_largest_unit_that_keeps_them_above_one(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *want;
    } c[] = {{0, "0 bytes"},
             {1023, "1023 bytes"},
             {1024, "1.0 KiB"},
             {1536, "1.5 KiB"},
             {253126246, "241.4 MiB"},
             {UINT64_C(1) << 40, "1.0 TiB"},
             {UINT64_C(5) << 50, "5120.0 TiB"}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        gt_text t = {0};
        gt_text_add_bytes(&t, c[i].bytes);
        assert_string_equal(t.data, c[i].want);
        gt_text_free(&t);
    }
}

static void every_scalar_is_encoded_and_decoded_and_nothing_else(void **state)
{
    (void)state;
    char b[4];
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        uint32_t back = 1;
        int n = gt_utf8_encode(b, c);
        int m = gt_utf8_decode(b, (size_t)n, &back);
        bool surrogate = c >= 0xd800 && c < 0xe000;
        if (m != n || back != (surrogate ? 0xfffd : c)) fail_msg("U+%04X gives U+%04X", c, back);
        if (gt_utf8_decode(b, (size_t)n - 1, NULL) != 0) fail_msg("U+%04X decodes when cut", c);
    }
    assert_int_equal(gt_utf8_encode(b, 0x110000), 3);
}

static void wrong_utf8_is_found_at_its_first_byte(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t bad;
    } c[] = {
        {"\x80", 0},
        {"abcdefgh\xbfz", 8},
        {"a\xc0\x80", 1},
        {"\xc1\xbf", 0},
        {"\xe0\x80\x80", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xed\xbf\xbf", 0},
        {"\xf0\x80\x80\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xfe", 0},
        {"\xff", 0},
        {"ab\xe2\x82", 2},
        {"\xed\x95\x9c\xed\x95", 3},
        {"\xf0\x9f\x98", 0},
        {"\xc3(", 0},
        {"01234567\xed\x95\x9c\xff", 11},
    };
    size_t bad;
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        bad = 99;
        assert_false(gt_utf8_valid(c[i].bytes, strlen(c[i].bytes), &bad));
        assert_int_equal(bad, c[i].bad);
    }
    assert_true(gt_utf8_valid("", 0, &bad));
    assert_true(gt_utf8_valid("abc\0def\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 17, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_by_bytes_and_by_formats),
        cmocka_unit_test(a_string_begins_and_ends_with_itself_with_nothing_and_with_its_parts),
        cmocka_unit_test(json_strings_are_escaped_and_mended),
        cmocka_unit_test(sizes_are_told_in_the_largest_unit_that_keeps_them_above_one),
        cmocka_unit_test(every_scalar_is_encoded_and_decoded_and_nothing_else),
        cmocka_unit_test(wrong_utf8_is_found_at_its_first_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
