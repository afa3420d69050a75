/* Best-fit decreasing, by hand-counted bins: the order within a bin is part of what a recipe means. */
#include "testing.h"

#include "pack.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

/* Best-fit decreasing as its definition reads, bin by bin: the arbiter. Bin sizes only, as a sorted multiset of rooms.
 */
static int simple_bins(const int *length, int items, int capacity, int *room)
{
    int bins = 0;
    char used[512] = {0};
    for (int placed = 0; placed < items; placed++) {
        int longest = -1;
        for (int i = 0; i < items; i++)
            if (!used[i] && (longest < 0 || length[i] > length[longest])) longest = i;
        used[longest] = 1;
        int best = -1;
        for (int b = 0; b < bins; b++)
            if (room[b] >= length[longest] && (best < 0 || room[b] < room[best])) best = b;
        if (best < 0) room[best = bins++] = capacity;
        room[best] -= length[longest];
    }
    return bins;
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void check(const int *length, int items, int capacity)
{
    gt_packing p;
    int want[512], got[512], seen[512] = {0};
    assert_ok(gt_pack(&p, length, items, capacity));
    const int bins = simple_bins(length, items, capacity, want);
    assert_int_equal(p.count, bins);
    int64_t last_first = -1;
    for (int b = 0; b < bins; b++) {
        got[b] = capacity;
        assert_true(p.begin[b] < p.begin[b + 1]);
        assert_true(p.begin[b + 1] - p.begin[b] <= p.most);
        assert_true(p.member[p.begin[b]] > last_first);
        last_first = p.member[p.begin[b]];
        for (int64_t i = p.begin[b]; i < p.begin[b + 1]; i++) {
            if (i > p.begin[b]) assert_true(p.member[i] > p.member[i - 1]);
            got[b] -= length[p.member[i]];
            seen[p.member[i]]++;
        }
        assert_true(got[b] >= 0);
    }
    for (int i = 0; i < items; i++) assert_int_equal(seen[i], 1);
    qsort(want, (size_t)bins, sizeof *want, by_value);
    qsort(got, (size_t)bins, sizeof *got, by_value);
    for (int b = 0; b < bins; b++) assert_int_equal(got[b], want[b]);
    gt_packing_free(&p);
}

static void packing_is_best_fit_decreasing(void **state)
{
    (void)state;
    check((int[]){5}, 1, 5);
    check((int[]){3, 3, 3}, 3, 5);
    check((int[]){4, 1, 2, 3, 5}, 5, 5);
    static const int capacity[] = {1, 7, 63, 64, 65, 128, 1024};
    for (size_t c = 0; c < sizeof capacity / sizeof *capacity; c++)
        for (int items = 1; items <= 400; items += 57) {
            int length[512];
            for (int i = 0; i < items; i++)
                length[i] = 1 + (int)gt_rng_below((uint64_t)items, (uint64_t)i, (uint64_t)capacity[c]);
            check(length, items, capacity[c]);
        }
}

static void packing_nothing_gives_no_bins(void **state)
{
    (void)state;
    gt_packing p;
    assert_ok(gt_pack(&p, NULL, 0, 10));
    assert_int_equal(p.count, 0);
    gt_packing_free(&p);
    gt_packing_free(&p);
    gt_packing_free(NULL);
}

static void a_row_that_fits_no_bin_is_refused(void **state)
{
    (void)state;
    gt_packing p;
    assert_fails(gt_pack(&p, (int[]){3, 11}, 2, 10), GT_ERR_ARG, "row 1 has 11 tokens");
    assert_fails(gt_pack(&p, (int[]){0}, 1, 10), GT_ERR_ARG, "row 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_is_best_fit_decreasing),
        cmocka_unit_test(packing_nothing_gives_no_bins),
        cmocka_unit_test(a_row_that_fits_no_bin_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
