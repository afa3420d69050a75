/* RMSNorm forward, with a residual, and backward: cpu against ref, ref backward against differences. */
#include "testing.h"

#include "kernel_case.h"

#include <math.h>

static const int shape[][2] = {{0, 8},   {1, 1},    {3, 7},    {2, 31},
                               {5, 640}, {3, 1152}, {2, 5376}, {40, 640}}; /* rows, cols */
enum { SHAPES = sizeof shape / sizeof *shape };

static const float eps = 1e-6f;

/* cpu sums cols squares in float32 in 4 to 16 running sums and rounds a handful of products: well below 8 ulp of
 * float32; in bf16 the result may fall on the other side of a rounding, one bf16 ulp. */
static double tolerance(gt_dtype t)
{
    return t == GT_BF16 ? 1.01 * ulp_of(t) : 8 * ulp_of(t);
}

static void norm_agrees_with_the_reference(void **state)
{
    (void)state;
    gt_exec *x = exec_new(3);
    for (int table = 0; table < FAST_TABLES; table++)
        for (int s = 0; s < SHAPES; s++) {
            const gt_kernels *ref, *k = fast_table(table, &ref);
            int rows = shape[s][0], cols = shape[s][1];
            size_t n = (size_t)rows * (size_t)cols;
            buf in = buf_random(k->act, n, 1, 3), residual = buf_random(k->act, n, 2, 3);
            buf g = buf_random(GT_F32, (size_t)cols, 3, 2), got = buf_new(k->act, n), want = buf_new(k->act, n);
            assert_ok(k->rmsnorm(x, got.p, in.p, g.p, rows, cols, eps));
            assert_ok(ref->rmsnorm(x, want.p, in.p, g.p, rows, cols, eps));
            buf_close(got, want, tolerance(k->act), 0);
            assert_ok(k->rmsnorm_add(x, got.p, residual.p, in.p, g.p, rows, cols, eps));
            assert_ok(ref->rmsnorm_add(x, want.p, residual.p, in.p, g.p, rows, cols, eps));
            buf_close(got, want, tolerance(k->act),
                      6 * tolerance(k->act)); /* the sum of two values of up to 6 may cancel */
        }
    buf_free_all();
}

static void backward_agrees_with_the_reference(void **state)
{
    (void)state;
    gt_exec *x = exec_new(3);
    for (int table = 0; table < FAST_TABLES; table++)
        for (int s = 0; s < SHAPES; s++)
            for (int form = 0; form < 8; form++) {
                const gt_kernels *ref, *k = fast_table(table, &ref);
                gt_dtype dx_type = form & 1 ? GT_F32 : k->act, dy_type = form & 2 ? GT_F32 : k->act;
                bool accumulate = (form & 4) && dx_type == GT_F32;
                int rows = shape[s][0], cols = shape[s][1];
                size_t n = (size_t)rows * (size_t)cols;
                buf in = buf_random(k->act, n, 1, 3), dy = buf_random(dy_type, n, 2, 1);
                buf g = buf_random(GT_F32, (size_t)cols, 3, 2);
                buf got = buf_random(dx_type, n, 4, 1), want = buf_copy(got);
                assert_ok(k->rmsnorm_bwd(x, got.p, dx_type, accumulate, dy.p, dy_type, in.p, g.p, rows, cols, eps));
                assert_ok(ref->rmsnorm_bwd(x, want.p, dx_type, accumulate, dy.p, dy_type, in.p, g.p, rows, cols, eps));
                /* a difference of terms of up to r |dy| |g| (1 + 3): absolute in their size; r is 1 / |x| in a row of
                 * one */
                double size = cols == 1 ? 4 / fmax(fabs(buf_get(in, 0)), 1e-3) : 8;
                buf_close(got, want, tolerance(dx_type), size * 8 * ulp_of(GT_F32));
            }
    buf_free_all();
}

static void in_place_and_by_any_threads_gives_the_same_bits(void **state)
{
    (void)state;
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        buf in = buf_random(k->act, 37 * 640, 1, 3), dy = buf_random(k->act, 37 * 640, 2, 1);
        buf g = buf_random(GT_F32, 640, 3, 2), want = buf_new(k->act, 37 * 640), back = buf_new(k->act, 37 * 640);
        assert_ok(k->rmsnorm(exec_new(1), want.p, in.p, g.p, 37, 640, eps));
        assert_ok(k->rmsnorm_bwd(exec_new(1), back.p, k->act, false, dy.p, k->act, in.p, g.p, 37, 640, eps));
        gt_exec *x = exec_new(4);
        buf here = buf_copy(in);
        assert_ok(k->rmsnorm(x, here.p, here.p, g.p, 37, 640, eps));
        buf_equal(here, want);
        here = buf_copy(dy);
        assert_ok(k->rmsnorm_bwd(x, here.p, k->act, false, here.p, k->act, in.p, g.p, 37, 640, eps));
        buf_equal(here, back);
    }
    buf_free_all();
}

typedef struct {
    const gt_kernels *k;
    gt_exec *x;
    buf in, g, weight, out;
    int rows, cols;
} loss_case;

static double loss(void *context)
{
    loss_case *c = context;
    assert_ok(c->k->rmsnorm(c->x, c->out.p, c->in.p, c->g.p, c->rows, c->cols, eps));
    double sum = 0;
    for (size_t i = 0; i < c->out.n; i++) sum += buf_get(c->out, i) * buf_get(c->weight, i);
    return sum;
}

static void backward_is_the_derivative(void **state)
{
    (void)state;
    loss_case c = {.k = table_under_test(4), .x = exec_new(2), .rows = 3, .cols = 7};
    c.in = buf_random(GT_F64, 21, 1, 2);
    c.g = buf_random(GT_F32, 7, 2, 2);
    c.weight = buf_random(GT_F64, 21, 3, 1);
    c.out = buf_new(GT_F64, 21);
    buf dx = buf_new(GT_F64, 21);
    assert_ok(c.k->rmsnorm_bwd(c.x, dx.p, GT_F64, false, c.weight.p, GT_F64, c.in.p, c.g.p, 3, 7, eps));
    for (size_t i = 0; i < 21; i++) /* central differences at 1e-5: error near 1e-10 */
        assert_close(buf_get(dx, i), difference_at(c.in, i, 1e-5, loss, &c), 1e-8);
    buf_free_all();
}

static void wrong_dtypes_are_refused(void **state)
{
    (void)state;
    gt_exec *x = exec_new(1);
    for (int table = 0; table < 4; table++) {
        const gt_kernels *k = table_under_test(table);
        assert_fails(k->rmsnorm_bwd(x, NULL, GT_F16, false, NULL, k->act, NULL, NULL, 0, 8, eps), GT_ERR_ARG, "F16");
        if (k->act == GT_BF16)
            assert_fails(k->rmsnorm_bwd(x, NULL, GT_BF16, true, NULL, k->act, NULL, NULL, 0, 8, eps), GT_ERR_ARG,
                         "accumulates");
    }
    buf_free_all();
}

int main(void)
{
    const struct CMUnitTest norm[] = {
        cmocka_unit_test(norm_agrees_with_the_reference),
        cmocka_unit_test(backward_agrees_with_the_reference),
        cmocka_unit_test(in_place_and_by_any_threads_gives_the_same_bits),
        cmocka_unit_test(backward_is_the_derivative),
        cmocka_unit_test(wrong_dtypes_are_refused),
    };
    return run_on_every_path(norm);
}
