/* Casts, gathered and scattered rows, dropout. */
#include "testing.h"

#include "kernel_case.h"

#include "rng.h"

#include <math.h>
#include <string.h>

static void casts_round_to_the_nearest_even(void **state)
{
    (void)state;
    gt_exec *x = exec_new(2);
    static const size_t count[] = {0, 1, 17, 640, 140001};
    for (int table = 0; table < FAST_TABLES; table++)
        for (size_t s = 0; s < sizeof count / sizeof *count; s++) {
            const gt_kernels *ref, *k = fast_table(table, &ref);
            buf wide = buf_random(GT_F32, count[s], 1, 5), got = buf_new(k->act, count[s]), want = buf_copy(got);
            static const float odd[] = {0.0f,    -0.0f,   1.00390625f, 1.01171875f, 1e-40f,
                                        -1e-45f, 3.4e38f, INFINITY,    -INFINITY,   65280.0f};
            if (count[s] > 16) memcpy(wide.p, odd, sizeof odd);
            assert_ok(k->cast(x, got.p, k->act, wide.p, GT_F32, count[s]));
            assert_ok(ref->cast(x, want.p, k->act, wide.p, GT_F32, count[s]));
            buf_equal(got, want);
            buf back = buf_new(GT_F32, count[s]), back_want = buf_copy(back);
            assert_ok(k->cast(x, back.p, GT_F32, got.p, k->act, count[s]));
            assert_ok(ref->cast(x, back_want.p, GT_F32, got.p, k->act, count[s]));
            buf_equal(back, back_want);
        }
    buf_free_all();
}

static void a_nan_stays_a_nan(void **state)
{
    (void)state;
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        static const uint32_t bits[] = {0x7fc00000, 0x7f800001, 0xffffffff, 0x7fffffff};
        buf in = buf_new(GT_F32, 40), out = buf_new(k->act, 40);
        for (int i = 0; i < 40; i++) memcpy((uint32_t *)in.p + i, bits + i % 4, 4);
        assert_ok(k->cast(exec_new(1), out.p, k->act, in.p, GT_F32, 40));
        for (size_t i = 0; i < 40; i++) assert_true(isnan(buf_get(out, i)));
    }
    buf_free_all();
}

static void rows_are_gathered_and_added_back(void **state)
{
    (void)state;
    gt_exec *x = exec_new(2);
    static const int32_t row[] = {4, 0, 2};
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        buf in = buf_random(k->act, 5 * 33, 1, 1), y = buf_new(k->act, 3 * 33);
        assert_ok(k->gather_rows(x, y.p, in.p, row, 3, 33));
        for (size_t i = 0; i < 3; i++)
            for (size_t c = 0; c < 33; c++)
                assert_close(buf_get(y, i * 33 + c), buf_get(in, (size_t)row[i] * 33 + c), 0);
        buf src = buf_random(GT_F32, 3 * 33, 2, 1), dst = buf_random(GT_F32, 5 * 33, 3, 1), before = buf_copy(dst);
        assert_ok(k->scatter_rows(x, dst.p, 5, src.p, row, 3, 33));
        for (size_t r = 0; r < 5; r++)
            for (size_t c = 0; c < 33; c++) {
                double added = 0;
                for (size_t i = 0; i < 3; i++)
                    if ((size_t)row[i] == r) added = buf_get(src, i * 33 + c);
                assert_close(buf_get(dst, r * 33 + c), (float)(buf_get(before, r * 33 + c) + added), 0);
            }
        assert_ok(k->gather_rows(x, y.p, in.p, row, 0, 33));
        assert_fails(k->scatter_rows(x, dst.p, 4, src.p, row, 3, 33), GT_ERR_ARG, "row 4 of 4");
        assert_fails(k->gather_rows(x, y.p, in.p, (const int32_t[]){-1}, 1, 33), GT_ERR_ARG, "-1");
    }
    buf_free_all();
}

enum { ROWS = 9, COLS = 133 };

static void keys(uint64_t *key)
{
    for (int i = 0; i < ROWS; i++) key[i] = gt_rng_key(42, (uint64_t)i);
}

static void dropout_keeps_what_the_counter_says_and_scales_it(void **state)
{
    (void)state;
    static const float p[] = {0, 1e-9f, 0.05f, 0.5f, 0.999f, 1};
    uint64_t key[ROWS];
    keys(key);
    for (int table = 0; table < TABLES; table++)
        for (size_t i = 0; i < sizeof p / sizeof *p; i++) {
            const gt_kernels *k = table_under_test(table);
            buf in = buf_random(k->act, ROWS * COLS, 1, 2), y = buf_new(k->act, ROWS * COLS);
            assert_ok(k->dropout(exec_new(3), y.p, k->act, false, in.p, k->act, key, 77, p[i], ROWS, COLS));
            for (size_t e = 0; e < in.n; e++) {
                double fraction = (double)gt_rng_u64(key[e / COLS] ^ 77, e % COLS) * 0x1p-64;
                double want = fraction >= (double)p[i] ? buf_get(in, e) / (1 - (double)p[i]) : 0;
                assert_close(buf_get(y, e), want, ulp_of(k->act) * fabs(want)); /* 1 / (1 - p) is rounded in cpu */
                if (p[i] == 0) assert_close(buf_get(y, e), buf_get(in, e), 0);
            }
        }
    buf_free_all();
}

static void dropout_accumulates_and_changes_dtype(void **state)
{
    (void)state;
    uint64_t key[ROWS];
    keys(key);
    gt_exec *x = exec_new(2);
    for (int table = 0; table < FAST_TABLES; table++)
        for (int form = 0; form < 6; form++) {
            const gt_kernels *ref, *k = fast_table(table, &ref);
            gt_dtype in_type = form & 1 ? GT_F32 : k->act, y_type = form >= 2 ? GT_F32 : k->act;
            bool accumulate = form >= 4;
            buf in = buf_random(in_type, ROWS * COLS, 1, 2), got = buf_random(y_type, ROWS * COLS, 2, 1);
            buf want = buf_copy(got);
            assert_ok(k->dropout(x, got.p, y_type, accumulate, in.p, in_type, key, 5, 0.1f, ROWS, COLS));
            assert_ok(ref->dropout(x, want.p, y_type, accumulate, in.p, in_type, key, 5, 0.1f, ROWS, COLS));
            buf_close(got, want, ulp_of(y_type), 4 * ulp_of(GT_F32));
            assert_ok(k->dropout(x, got.p, y_type, accumulate, in.p, in_type, key, 5, 1, ROWS, COLS));
            assert_ok(ref->dropout(x, want.p, y_type, accumulate, in.p, in_type, key, 5, 1, ROWS, COLS));
            buf_close(got, want, ulp_of(y_type), 4 * ulp_of(GT_F32));
        }
    buf_free_all();
}

static void dropout_drops_its_share(void **state)
{
    (void)state;
    const gt_kernels *k = table_under_test(2);
    enum { N = 200000 };
    uint64_t key = 1;
    buf in = buf_new(GT_F32, N), y = buf_new(GT_F32, N);
    for (size_t i = 0; i < N; i++) buf_set(in, i, 1);
    assert_ok(k->dropout(exec_new(1), y.p, GT_F32, false, in.p, GT_F32, &key, 0, 0.1f, 1, N));
    double dropped = 0;
    for (size_t i = 0; i < N; i++) dropped += buf_get(y, i) == 0;
    assert_close(dropped / N, 0.1, 5 * sqrt(0.09 / N)); /* five standard deviations of a fixed draw */
    buf_free_all();
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    gt_exec *x = exec_new(1);
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        assert_fails(k->dropout(x, NULL, k->act, false, NULL, k->act, NULL, 0, -0.1f, 0, 8), GT_ERR_ARG, "-0.1");
        assert_fails(k->dropout(x, NULL, k->act, false, NULL, k->act, NULL, 0, NAN, 0, 8), GT_ERR_ARG, "nan");
        assert_fails(k->dropout(x, NULL, GT_F16, false, NULL, k->act, NULL, 0, 0.1f, 0, 8), GT_ERR_ARG, "F16");
        assert_fails(k->cast(x, NULL, GT_I32, NULL, k->act, 0), GT_ERR_ARG, "I32");
    }
    buf_free_all();
}

int main(void)
{
    const struct CMUnitTest elementwise[] = {
        cmocka_unit_test(casts_round_to_the_nearest_even),
        cmocka_unit_test(a_nan_stays_a_nan),
        cmocka_unit_test(rows_are_gathered_and_added_back),
        cmocka_unit_test(dropout_keeps_what_the_counter_says_and_scales_it),
        cmocka_unit_test(dropout_accumulates_and_changes_dtype),
        cmocka_unit_test(dropout_drops_its_share),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return run_on_every_path(elementwise);
}
