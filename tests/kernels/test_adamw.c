/* The optimizer's step and the exact sums. */
#include "testing.h"

#include "kernel_case.h"

#include <math.h>
#include <string.h>

static void adamw_gives_the_published_steps(void **state)
{
    (void)state;
    /* docs/model/lora.md section 10, in float64 there: float32 parameters near 2 resolve 1.2e-7 */
    static const float grad[3][2] = {{0.1f, -0.2f}, {0.05f, 0.3f}, {-0.4f, 0}};
    static const double want[3][2] = {{0.9989900001, -1.99898000005},
                                      {0.9980478306791177, -1.9992077120564191},
                                      {0.99845931223687, -1.999379194191888}};
    for (int table = 0; table < 4; table++) {
        const gt_kernels *k = table_under_test(table);
        float p[2] = {1, -2}, m[2] = {0}, v[2] = {0};
        for (int t = 1; t <= 3; t++) {
            assert_ok(k->adamw(exec_new(1), p, m, v, grad[t - 1], 2, 1, 1e-3, 0.9, 0.999, 1e-8, 0.01, 1 - pow(0.9, t),
                               1 - pow(0.999, t)));
            for (int i = 0; i < 2; i++) assert_close(p[i], want[t - 1][i], 4e-7);
        }
    }
    buf_free_all();
}

static void adamw_agrees_with_the_reference_on_any_threads(void **state)
{
    (void)state;
    static const size_t count[] = {0, 1, 19, 100003};
    for (size_t s = 0; s < sizeof count / sizeof *count; s++) {
        const gt_kernels *ref, *k = fast_table(0, &ref);
        size_t n = count[s];
        buf p = buf_random(GT_F32, n, 1, 1), m = buf_random(GT_F32, n, 2, 0.1), v = buf_random(GT_F32, n, 3, 0.1);
        buf g = buf_random(GT_F32, n, 4, 1);
        for (size_t i = 0; i < n; i++) buf_set(v, i, fabs(buf_get(v, i)));
        buf rp = buf_copy(p), rm = buf_copy(m), rv = buf_copy(v), tp = buf_copy(p), tm = buf_copy(m), tv = buf_copy(v);
        double bc1 = 1 - pow(0.9, 7), bc2 = 1 - pow(0.999, 7);
        assert_ok(k->adamw(exec_new(1), p.p, m.p, v.p, g.p, n, 0.3f, 1e-2, 0.9, 0.999, 1e-8, 0.01, bc1, bc2));
        assert_ok(k->adamw(exec_new(4), tp.p, tm.p, tv.p, g.p, n, 0.3f, 1e-2, 0.9, 0.999, 1e-8, 0.01, bc1, bc2));
        assert_ok(ref->adamw(exec_new(1), rp.p, rm.p, rv.p, g.p, n, 0.3f, 1e-2, 0.9, 0.999, 1e-8, 0.01, bc1, bc2));
        buf_equal(tp, p);
        buf_equal(tm, m);
        buf_equal(tv, v);
        buf_close(m, rm, 0, 4 * ulp_of(GT_F32)); /* two products and a sum of values below 1 */
        buf_close(v, rv, 8 * ulp_of(GT_F32), 0);
        buf_close(p, rp, 0, 1e-6); /* the step of at most a few 1e-2 to 1e-6, the rest to an ulp of 1 */
    }
    buf_free_all();
}

static void exact_sums_have_one_value(void **state)
{
    (void)state;
    enum { N = 70001, SHIFT = 30 };
    buf g = buf_random(GT_F32, N, 1, 100), more = buf_random(GT_F32, N, 2, 1e-7);
    int64_t *want = buf_new(GT_F64, N).p;
    int bad = 0;
    const gt_kernels *ref = table_under_test(0);
    assert_ok(ref->fix_add(exec_new(1), want, g.p, N, SHIFT, &bad));
    assert_ok(ref->fix_add(exec_new(1), want, more.p, N, SHIFT, &bad));
    for (size_t i = 0; i < N; i++)
        if (want[i] != (int64_t)(nearbyint(buf_get(g, i) * 0x1p30) + nearbyint(buf_get(more, i) * 0x1p30)))
            fail_msg("sum %zu is wrong", i);
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        int64_t *sum = buf_new(GT_F64, N).p; /* in the other order */
        assert_ok(k->fix_add(exec_new(4), sum, more.p, N, SHIFT, &bad));
        assert_ok(k->fix_add(exec_new(4), sum, g.p, N, SHIFT, &bad));
        assert_memory_equal(sum, want, N * sizeof *sum);
        buf back = buf_new(GT_F32, N);
        assert_ok(k->fix_get(exec_new(4), back.p, sum, N, 0x1p-30 / 3));
        for (size_t i = 0; i < N; i++) assert_close(buf_get(back, i), (float)((double)sum[i] * (0x1p-30 / 3)), 0);
    }
    assert_int_equal(bad, 0);
    buf_free_all();
}

static void what_does_not_fit_is_flagged(void **state)
{
    (void)state;
    static const float value[] = {NAN, INFINITY, -INFINITY, 0x1p24f, -0x1p24f};
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        for (size_t i = 0; i < sizeof value / sizeof *value; i++)
            for (size_t at = 0; at < 35; at += 17) {
                float g[35] = {0};
                int64_t sum[35] = {0};
                int bad = 0;
                g[at] = value[i];
                assert_ok(k->fix_add(exec_new(1), sum, g, 35, 30, &bad)); /* 2^54 leaves 2^53 */
                assert_int_equal(bad, 1);
                assert_int_equal(sum[at], 0);
            }
        float g[2] = {0x1p22f, -0x1p22f}; /* 2^52 fits, twice that is the limit, three times is beyond */
        int64_t sum[2] = {0};
        int bad = 0;
        assert_ok(k->fix_add(exec_new(1), sum, g, 2, 30, &bad));
        assert_ok(k->fix_add(exec_new(1), sum, g, 2, 30, &bad));
        assert_int_equal(bad, 0);
        assert_ok(k->fix_add(exec_new(1), sum, g, 2, 30, &bad));
        assert_int_equal(bad, 1);
        assert_int_equal(sum[0], (int64_t)1 << 53);
        assert_fails(k->fix_add(exec_new(1), sum, g, 2, 2000, &bad), GT_ERR_ARG, "2000");
        buf_free_all();
    }
}

static void sums_of_squares_are_one_number_everywhere(void **state)
{
    (void)state;
    static const size_t count[] = {0, 1, 63, 64, 65, 1000, 100003};
    for (size_t s = 0; s < sizeof count / sizeof *count; s++) {
        buf g = buf_random(GT_F32, count[s], 1, 3);
        double plain = 0, first = 0;
        for (size_t i = 0; i < g.n; i++) plain += buf_get(g, i) * buf_get(g, i);
        for (int table = 0; table < TABLES; table++)
            for (int threads = 1; threads <= 3; threads += 2) {
                double sum = -1;
                assert_ok(table_under_test(table)->sum_squares(exec_new(threads), &sum, g.p, g.n));
                if (table == 0 && threads == 1) first = sum;
                assert_memory_equal(&sum, &first, sizeof sum);
                assert_close(sum, plain, 1e-12 * plain);
            }
        buf_free_all();
    }
}

int main(void)
{
    const struct CMUnitTest adamw[] = {
        cmocka_unit_test(adamw_gives_the_published_steps),
        cmocka_unit_test(adamw_agrees_with_the_reference_on_any_threads),
        cmocka_unit_test(exact_sums_have_one_value),
        cmocka_unit_test(what_does_not_fit_is_flagged),
        cmocka_unit_test(sums_of_squares_are_one_number_everywhere),
    };
    return run_on_every_path(adamw);
}
