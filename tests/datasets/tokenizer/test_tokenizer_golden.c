/* Parity with the reference on the real vocabulary: every golden case, from tokenizer.json and through a packed block.
 */
#include "tokenizer_files.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

static void tokenizer_json_gives_every_golden_case(void **state)
{
    (void)state;
    const char *path = golden("tokenizer/cases.jsonl");
    assert_int_equal(1500, for_each_line(path, gemma_tokenizer(), check_golden_text));
}

static void packed_block_gives_every_golden_case_and_opens_quickly(void **state)
{
    (void)state;
    const char *path = golden("tokenizer/cases.jsonl");
    void *blob, *again;
    size_t size, again_size;
    assert_ok(gt_tokenizer_pack(gemma_tokenizer(), &blob, &size));
    double best = 1e9;
    gt_tokenizer *t = NULL;
    for (int i = 0; i < 5; i++) { /* the fastest of a few: the machine may be busy */
        gt_tokenizer_free(t);
        const double start = gt_clock();
        assert_ok(gt_tokenizer_from_packed(&t, blob, size, "packed"));
        const double took = gt_clock() - start;
        if (took < best) best = took;
    }
    print_message("packed: %zu bytes, opened in %.1f ms\n", size, 1e3 * best);
    assert_true(best < 0.5); /* 50 ms are meant; sanitizers take several times that */
    assert_int_equal(1500, for_each_line(path, t, check_golden_text));
    assert_ok(gt_tokenizer_pack(t, &again, &again_size));
    assert_int_equal(size, again_size);
    assert_memory_equal(blob, again, size);
    uint8_t one[32], two[32];
    gt_tokenizer_sha256(t, one);
    gt_tokenizer_sha256(gemma_tokenizer(), two);
    assert_memory_equal(one, two, 32);
    gt_tokenizer_free(t);
    free(blob);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer_json_gives_every_golden_case),
        cmocka_unit_test(packed_block_gives_every_golden_case_and_opens_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
