/* A megabyte of anything is encoded in bounded time, and ordinary text quickly. */
#include "clock.h"
#include "detok.h"
#include "rng.h"
#include "tokenizer_files.h"

#include <stdlib.h>
#include <string.h>

enum { MEGABYTE = 1 << 20 };

static char *repeated(const char *unit, size_t *size)
{
    const size_t n = strlen(unit);
    char *text = malloc(MEGABYTE);
    *size = 0;
    for (; *size + n <= MEGABYTE; *size += n) memcpy(text + *size, unit, n);
    return text;
}

static void check_long(const char *name, char *text, size_t size, unsigned flags)
{
    const gt_tokenizer *t = gemma_tokenizer();
    gt_ids ids = {0};
    const double start = gt_clock();
    assert_ok(gt_tokenizer_encode(t, text, size, flags, &ids));
    const double took = gt_clock() - start;
    print_message("%-28s %8zu bytes %8zu tokens %7.1f ms %6.1f MB/s\n", name, size, ids.count, 1e3 * took,
                  1e-6 * (double)size / took);
    assert_true(took < 20); /* a quadratic way takes hours; sanitizers and a busy machine a few seconds */
    char *back;
    size_t back_size;
    assert_ok(gt_tokenizer_decode(t, ids.id, ids.count, false, &back, &back_size));
    assert_int_equal(size, back_size);
    assert_memory_equal(text, back, size);
    free(back);
    gt_ids_free(&ids);
    free(text);
}

static void a_megabyte_of_one_thing_takes_bounded_time(void **state)
{
    (void)state;
    static const struct {
        const char *name, *unit;
    } run[] = {{"a", "a"},
               {"spaces", " "},
               {"newlines", "\n"},
               {"가", "가"},
               {"1", "1"},
               {"ab", "ab"},
               {"<", "<"},
               {"<unused", "<unused"},
               {"<bos", "<bos"},
               {"aaaaab", "aaaaab"},
               {"U+E0001, no piece", "\xF3\xA0\x80\x81"},
               {"hello ", "hello "},
               {"space and newline", " \n"},
               {"한국어", "한국어"}};
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) {
        size_t size;
        char *text = repeated(run[i].unit, &size);
        check_long(run[i].name, text, size, GT_ENCODE_PARSE_SPECIAL);
    }
}

static void a_megabyte_of_random_letters_takes_bounded_time(void **state)
{
    (void)state;
    char *text = malloc(MEGABYTE);
    for (size_t i = 0; i < MEGABYTE; i++) text[i] = (char)('a' + gt_rng_below(1, i, 26));
    check_long("random letters, no space", text, MEGABYTE, 0);
    text = malloc(MEGABYTE);
    for (size_t i = 0; i < MEGABYTE; i++) text[i] = (char)gt_rng_below(2, i, 128);
    check_long("random ASCII", text, MEGABYTE, 0);
    text = malloc(MEGABYTE);
    size_t n = 0;
    for (size_t i = 0; n + 4 <= MEGABYTE; i++) { /* random scalars, the surrogates left out */
        uint32_t c = (uint32_t)gt_rng_below(3, i, 0x110000);
        if (c == 0x2581 || (c >= 0xD800 && c < 0xE000)) c = 'x';
        n += (size_t)gt_utf8_encode(text + n, c);
    }
    check_long("random characters", text, n, 0);
}

static void ordinary_text_is_fast(void **state)
{
    (void)state;
    size_t size;
    char *text =
        repeated("The patient's blood pressure was 120/80 mmHg and the heart rate was 72 beats per minute. ", &size);
    check_long("English", text, size, 0);
    text = repeated("환자의 혈압은 120/80 mmHg이고 맥박은 분당 72회이며, 흉통은 호소하지 않았다. ", &size);
    check_long("Korean", text, size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_megabyte_of_one_thing_takes_bounded_time),
        cmocka_unit_test(a_megabyte_of_random_letters_takes_bounded_time),
        cmocka_unit_test(ordinary_text_is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
