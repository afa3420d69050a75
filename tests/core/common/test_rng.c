/* Random numbers are functions of a key: against published values, and by their moments. Draws are the same in every
 * run, so a bound of four standard errors never fails by chance. */
#include "testing.h"

#include "rng.h"

#include <math.h>
#include <stdlib.h>

static void keys_of_zero_are_the_published_splitmix64_sequence(void **state)
{
    (void)state;
    static const uint64_t want[] = {0xe220a8397b1dcdafull, 0x6e789e6aa1b965f4ull, 0x06c45d188009454full};
    for (uint64_t i = 0; i < 3; i++) assert_true(gt_rng_u64(0, i) == want[i]);
}

static void uniform_values_fill_the_interval_evenly(void **state)
{
    (void)state;
    enum { N = 100000, BINS = 16 };
    int bin[BINS] = {0};
    double sum = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = gt_rng_uniform(gt_rng_key(42, 7), i);
        assert_true(u >= 0.0 && u < 1.0);
        sum += u;
        bin[(int)(u * BINS)]++;
    }
    assert_true(fabs(sum / N - 0.5) < 0.004); /* four standard errors: 4 * sqrt(1/12/N) */
    for (int b = 0; b < BINS; b++) assert_true(abs(bin[b] - N / BINS) < 350); /* 4.5 * sqrt(N/16) */
}

static void normal_values_have_mean_zero_and_variance_one(void **state)
{
    (void)state;
    enum { N = 100000 };
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < N; i++) {
        double z = gt_rng_normal(9, i);
        assert_true(isfinite(z));
        sum += z;
        squares += z * z;
    }
    assert_true(fabs(sum / N) < 0.013);           /* four standard errors */
    assert_true(fabs(squares / N - 1.0) < 0.018); /* four standard errors: 4 * sqrt(2/N) */
}

static void integers_below_n_reach_every_value(void **state)
{
    (void)state;
    static const uint64_t limit[] = {1, 2, 3, 10};
    for (size_t l = 0; l < sizeof limit / sizeof *limit; l++) {
        unsigned seen = 0;
        for (uint64_t i = 0; i < 400; i++) {
            uint64_t v = gt_rng_below(3, i, limit[l]);
            assert_true(v < limit[l]);
            seen |= 1u << v;
        }
        assert_int_equal(seen, (1u << limit[l]) - 1);
    }
    assert_true(gt_rng_below(3, 1, UINT64_MAX) < UINT64_MAX);
}

static void paths_that_differ_in_one_part_give_other_keys(void **state)
{
    (void)state;
    uint64_t key[256];
    int n = 0;
    for (uint64_t seed = 0; seed < 4; seed++)
        for (uint64_t epoch = 0; epoch < 4; epoch++)
            for (uint64_t sample = 0; sample < 16; sample++)
                key[n++] = gt_rng_key(gt_rng_key(gt_rng_key(0, seed), epoch), sample);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) assert_true(key[i] != key[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_zero_are_the_published_splitmix64_sequence),
        cmocka_unit_test(uniform_values_fill_the_interval_evenly),
        cmocka_unit_test(normal_values_have_mean_zero_and_variance_one),
        cmocka_unit_test(integers_below_n_reach_every_value),
        cmocka_unit_test(paths_that_differ_in_one_part_give_other_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
