/* The three products of a linear layer against their sums written out, in float64, where nothing but the order of three
 * to five terms can differ. */
#include "linear.h"
#include "testing.h"

#include <math.h>
#include <stdbool.h>

enum { N = 3, IN = 4, OUT = 5 };

typedef struct {
    double x[N][IN], y[N][OUT], w[OUT][IN];
} layer;

static const layer *values(void)
{
    static layer l;
    for (int i = 0; i < N * IN; i++) l.x[i / IN][i % IN] = 1.0 + i;
    for (int i = 0; i < N * OUT; i++) l.y[i / OUT][i % OUT] = 0.5 - i;
    for (int i = 0; i < OUT * IN; i++) l.w[i / IN][i % IN] = 0.25 * i - 2.0;
    return &l;
}

static gt_linear_rows three_rows(gt_exec *alone)
{
    gt_linear_rows r = {.x = alone, .n = N};
    assert_ok(gt_kernels_get(&r.k, GT_BACKEND_REF, GT_F64));
    return r;
}

static gt_linear_weight weight(const layer *l)
{
    return (gt_linear_weight){.at = l->w, .out = OUT, .in = IN};
}

/* What was there is 7; it is kept where the sum is added to. */
static void assert_sum(double got, double product, float scale, bool add)
{
    assert_true(fabs(got - ((double)scale * product + (add ? 7.0 : 0.0))) < 1e-12);
}

static void fill(double *out, int n)
{
    for (int i = 0; i < n; i++) out[i] = 7.0;
}

static void y_is_x_times_w_transposed(void **state)
{
    (void)state;
    const layer *l = values();
    gt_exec alone = {0};
    const gt_linear_rows r = three_rows(&alone);
    for (int add = 0; add < 2; add++) {
        double y[N][OUT];
        fill(&y[0][0], N * OUT);
        assert_ok(gt_linear(&r, (gt_linear_sum){y, GT_F64, 0.5f, add}, l->x, weight(l)));
        for (int i = 0; i < N * OUT; i++) {
            double sum = 0;
            for (int k = 0; k < IN; k++) sum += l->x[i / OUT][k] * l->w[i % OUT][k];
            assert_sum(y[i / OUT][i % OUT], sum, 0.5f, add);
        }
    }
}

static void dx_is_dy_times_w(void **state)
{
    (void)state;
    const layer *l = values();
    gt_exec alone = {0};
    const gt_linear_rows r = three_rows(&alone);
    for (int add = 0; add < 2; add++) {
        double dx[N][IN];
        fill(&dx[0][0], N * IN);
        assert_ok(gt_linear_dx(&r, (gt_linear_sum){dx, GT_F64, 2.0f, add}, l->y, weight(l)));
        for (int i = 0; i < N * IN; i++) {
            double sum = 0;
            for (int o = 0; o < OUT; o++) sum += l->y[i / IN][o] * l->w[o][i % IN];
            assert_sum(dx[i / IN][i % IN], sum, 2.0f, add);
        }
    }
}

static void dw_is_dy_transposed_times_x(void **state)
{
    (void)state;
    const layer *l = values();
    gt_exec alone = {0};
    const gt_linear_rows r = three_rows(&alone);
    for (int add = 0; add < 2; add++) {
        double dw[OUT][IN];
        fill(&dw[0][0], OUT * IN);
        assert_ok(gt_linear_dw(&r, (gt_linear_sum){dw, GT_F64, 1.0f, add}, l->y, l->x, weight(l)));
        for (int i = 0; i < OUT * IN; i++) {
            double sum = 0;
            for (int t = 0; t < N; t++) sum += l->y[t][i / IN] * l->x[t][i % IN];
            assert_sum(dw[i / IN][i % IN], sum, 1.0f, add);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(y_is_x_times_w_transposed),
        cmocka_unit_test(dx_is_dy_times_w),
        cmocka_unit_test(dw_is_dy_transposed_times_x),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
