/* Who owns what is arithmetic: every item has one owner, loads are even, and the same numbers give the
 * same owners on every rank. */
#include "testing.h"

#include "rng.h"
#include "shard.h"

#include <stdlib.h>
#include <string.h>

static void every_micro_batch_that_is_left_has_one_owner_and_loads_are_even(void **state)
{
    (void)state;
    enum { N = 500 };
    int64_t cost[N];
    uint8_t skip[N];
    int32_t owner[N];
    for (int size = 1; size <= 8; size++) {
        int64_t load[8] = {0}, total = 0, dearest = 0;
        for (int i = 0; i < N; i++) {
            cost[i] = 1 + (int64_t)gt_rng_below(5, (uint64_t)i, 1024);
            skip[i] = gt_rng_below(6, (uint64_t)i, 10) == 0;
        }
        assert_ok(gt_shard_assign(owner, cost, skip, N, size));
        for (int i = 0; i < N; i++) {
            if (skip[i]) {
                assert_int_equal(owner[i], -1);
                continue;
            }
            assert_in_range(owner[i], 0, size - 1);
            load[owner[i]] += cost[i];
            total += cost[i];
            if (cost[i] > dearest) dearest = cost[i];
        }
        /* Longest-first never leaves two ranks further apart than one job. */
        for (int r = 0; r < size; r++) assert_true(llabs(load[r] * size - total) <= dearest * size);
    }
}

static void equal_costs_go_round_in_order(void **state)
{
    (void)state;
    const int64_t cost[7] = {5, 5, 5, 5, 5, 5, 5};
    const int32_t want[7] = {0, 1, 2, 0, 1, 2, 0};
    int32_t owner[7];
    assert_ok(gt_shard_assign(owner, cost, NULL, 7, 3));
    assert_memory_equal(owner, want, sizeof want);
}

static void the_longest_is_placed_first(void **state)
{
    (void)state;
    const int64_t cost[5] = {1, 2, 3, 10, 4};
    const int32_t want[5] = {1, 1, 1, 0, 1};
    int32_t owner[5];
    assert_ok(gt_shard_assign(owner, cost, NULL, 5, 2));
    assert_memory_equal(owner, want, sizeof want);
}

static void odd_arguments_are_refused_or_fine(void **state)
{
    (void)state;
    int32_t owner[1];
    const int64_t cost[1] = {-1};
    assert_fails(gt_shard_assign(owner, cost, NULL, 1, 2), GT_ERR_ARG, "costs -1");
    assert_fails(gt_shard_assign(owner, cost, NULL, 1, 0), GT_ERR_ARG, "over 0 ranks");
    assert_ok(gt_shard_assign(owner, cost, NULL, 0, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_micro_batch_that_is_left_has_one_owner_and_loads_are_even),
        cmocka_unit_test(equal_costs_go_round_in_order),
        cmocka_unit_test(the_longest_is_placed_first),
        cmocka_unit_test(odd_arguments_are_refused_or_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
