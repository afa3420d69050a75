/* Streaming decode: what is handed out piece by piece is the whole decode, and nothing shown is ever taken back. */
#include "detok.h"

#include "rng.h"
#include "tokenizer_files.h"

#include <stdlib.h>
#include <string.h>

static void push(gt_detok *d, int32_t id, const char *want)
{
    const char *text;
    size_t size;
    assert_ok(gt_detok_push(d, id, &text, &size));
    assert_int_equal(strlen(want), size);
    assert_memory_equal(want, text, size);
}

static void finish(gt_detok *d, const char *want)
{
    const char *text;
    size_t size;
    assert_ok(gt_detok_finish(d, &text, &size));
    assert_int_equal(strlen(want), size);
    assert_memory_equal(want, text, size);
}

static void byte_pieces_are_held_back_until_their_run_ends(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    gt_detok *d;
    const int32_t byte = 13, a = gt_tokenizer_size(t) - 10; /* 13 added tokens, then the bytes */
    assert_int_equal(0xE2, gt_tokenizer_byte_of(t, byte + 0xE2));
    assert_ok(gt_detok_create(&d, t, true));
    push(d, a, "a");
    push(d, byte + 0xE2, "");
    push(d, byte + 0x82, "");
    push(d, 1, ""); /* a special token that is skipped does not end the run */
    push(d, byte + 0xAC, "");
    push(d, a,
         "\xE2\x82\xAC"
         "a");
    push(d, byte + 0xE2, "");
    push(d, a,
         "\xEF\xBF\xBD"
         "a");
    push(d, byte + 'x', ""); /* even a byte of ASCII: the run it begins may turn out wrong */
    push(d, byte + 0xFF, "");
    push(d, gt_tokenizer_size(t) + 5, ""); /* a padded row of the embedding */
    finish(d, "\xEF\xBF\xBD\xEF\xBF\xBD");
    finish(d, "");
    push(d, byte + 'x', "");
    finish(d, "x");
    gt_detok_free(d);
    assert_ok(gt_detok_create(&d, t, false));
    push(d, byte + 0xE2, "");
    push(d, 1, "\xEF\xBF\xBD<eos>");
    finish(d, "");
    gt_detok_free(d);
    gt_tokenizer_free(t);
}

static void parts_put_together_are_the_whole_decode(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    for (uint64_t seed = 0; seed < 400; seed++) {
        int32_t ids[200];
        const size_t n = seed % 200;
        for (size_t i = 0; i < n; i++) ids[i] = (int32_t)gt_rng_below(seed, i, (uint64_t)gt_tokenizer_size(t));
        const bool skip = seed & 1;
        char *whole;
        size_t size;
        assert_ok(gt_tokenizer_decode(t, ids, n, skip, &whole, &size));
        assert_true(gt_utf8_valid(whole, size, NULL));
        gt_detok *d;
        gt_text parts = {0};
        const char *text;
        size_t part;
        assert_ok(gt_detok_create(&d, t, skip));
        for (size_t i = 0; i < n; i++) {
            assert_ok(gt_detok_push(d, ids[i], &text, &part));
            assert_true(gt_utf8_valid(text, part, NULL));
            gt_text_add(&parts, text, part);
        }
        assert_ok(gt_detok_finish(d, &text, &part));
        gt_text_add(&parts, text, part);
        assert_int_equal(size, parts.size);
        assert_memory_equal(whole, parts.data, size);
        gt_detok_free(d);
        gt_text_free(&parts);
        free(whole);
    }
    gt_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_pieces_are_held_back_until_their_run_ends),
        cmocka_unit_test(parts_put_together_are_the_whole_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
