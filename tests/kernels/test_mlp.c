/* The gated activation and its gradient. */
#include "testing.h"

#include "kernel_case.h"

#include <math.h>

static const size_t count[] = {0, 1, 15, 16, 33, 2048, 21504 * 2 + 5};
enum { COUNTS = sizeof count / sizeof *count };

static void gelu_has_the_values_of_the_definition(void **state)
{
    (void)state;
    /* docs/model/gemma3.md section 2.6, docs/model/backward.md section 1.5 */
    static const double z[] = {1, -0.5, 2, -3, 0}, value[] = {0.84119199, -0.15428599, 1.95459769, -0.00363739, 0};
    static const double at[] = {1, -1, 0.5, 2, -3},
                        slope[] = {1.08296408, -0.08296408, 0.86736990, 1.08609926, -0.01158417};
    gt_exec *x = exec_new(1);
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        double relative =
            k->act == GT_BF16 ? 1.01 * ulp_of(GT_BF16) : 3e-7; /* bf16 may fall on the other side; float32: 2 ulp */
        buf gate = buf_new(k->act, 5), up = buf_new(k->act, 5), h = buf_new(k->act, 5), dup = buf_new(k->act, 5);
        for (size_t i = 0; i < 5; i++) {
            buf_set(gate, i, z[i]);
            buf_set(up, i, 1);
        }
        assert_ok(k->geglu(x, h.p, gate.p, up.p, 5));
        for (size_t i = 0; i < 5; i++) assert_close(buf_get(h, i), value[i], relative * fabs(value[i]) + 5e-9);
        for (size_t i = 0; i < 5; i++) buf_set(gate, i, at[i]);
        assert_ok(k->geglu_bwd(x, h.p, dup.p, up.p, gate.p, up.p, 5));
        for (size_t i = 0; i < 5; i++) assert_close(buf_get(h, i), slope[i], relative * fabs(slope[i]) + 5e-9);
    }
    buf_free_all();
}

static void activation_agrees_with_the_reference(void **state)
{
    (void)state;
    gt_exec *x = exec_new(3);
    for (int table = 0; table < FAST_TABLES; table++)
        for (int s = 0; s < COUNTS; s++)
            for (int wide = 0; wide < 2; wide++) { /* where the curve bends, and far outside */
                const gt_kernels *ref, *k = fast_table(table, &ref);
                size_t n = count[s];
                buf gate = buf_random(k->act, n, 1, wide ? 60 : 4), up = buf_random(k->act, n, 2, 3);
                buf dh = buf_random(k->act, n, 3, 1);
                if (wide && n > 8) {
                    static const double odd[] = {0.0, -0.0, 1e4, -1e4, 1e20, -1e20, 1e-30};
                    for (size_t i = 0; i < 7; i++) buf_set(gate, i, odd[i]);
                }
                buf got = buf_new(k->act, n), want = buf_new(k->act, n);
                assert_ok(k->geglu(x, got.p, gate.p, up.p, n));
                assert_ok(ref->geglu(x, want.p, gate.p, up.p, n));
                /* exp(-2u) is good to 1e-7 (1 + |2u|), and where gelu still counts |2u| is below 12; in bf16 two
                 * roundings may fall on the other side */
                double relative = k->act == GT_BF16 ? 2.1 * ulp_of(GT_BF16) : 2e-6;
                buf_close(got, want, relative, 1e-9);
                buf dgate = buf_new(k->act, n), dup = buf_new(k->act, n);
                buf want_gate = buf_new(k->act, n), want_up = buf_new(k->act, n);
                assert_ok(k->geglu_bwd(x, dgate.p, dup.p, dh.p, gate.p, up.p, n));
                assert_ok(ref->geglu_bwd(x, want_gate.p, want_up.p, dh.p, gate.p, up.p, n));
                buf_close(dgate, want_gate, relative, 1e-6); /* the slope crosses zero: its two terms cancel there */
                buf_close(dup, want_up, relative, 1e-9);
            }
    buf_free_all();
}

/* The claim of the fast form: a few parts in 1e7 of the value wherever gelu is not vanishing. */
static void float32_gelu_is_good_to_a_few_ulp(void **state)
{
    (void)state;
    const gt_kernels *ref, *k = fast_table(0, &ref);
    size_t n = 40000;
    buf gate = buf_new(GT_F32, n), up = buf_new(GT_F32, n), got = buf_new(GT_F32, n);
    for (size_t i = 0; i < n; i++) {
        buf_set(gate, i, -3 + 12.0 * (double)i / (double)n);
        buf_set(up, i, 1);
    }
    assert_ok(k->geglu(exec_new(1), got.p, gate.p, up.p, n));
    for (size_t i = 0; i < n; i++) {
        double z = buf_get(gate, i), want = 0.5 * z * (1 + tanh(0.7978845608028654 * (z + 0.044715 * z * z * z)));
        if (fabs(buf_get(got, i) - want) > 1e-6 * fabs(want) + 1e-30) fail_msg("gelu(%g) is off", z);
        if (z > -1 && fabs(buf_get(got, i) - want) > 4e-7 * fabs(want) + 1e-30) fail_msg("gelu(%g) is off", z);
    }
    buf_free_all();
}

static void in_place_and_by_any_threads_gives_the_same_bits(void **state)
{
    (void)state;
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        size_t n = 70001;
        buf gate = buf_random(k->act, n, 1, 4), up = buf_random(k->act, n, 2, 3), dh = buf_random(k->act, n, 3, 1);
        buf h = buf_new(k->act, n), dgate = buf_new(k->act, n), dup = buf_new(k->act, n);
        assert_ok(k->geglu(exec_new(1), h.p, gate.p, up.p, n));
        assert_ok(k->geglu_bwd(exec_new(1), dgate.p, dup.p, dh.p, gate.p, up.p, n));
        buf here = buf_copy(up);
        assert_ok(k->geglu(exec_new(4), here.p, gate.p, here.p, n));
        buf_equal(here, h);
        buf g = buf_copy(gate), u = buf_copy(up);
        assert_ok(k->geglu_bwd(exec_new(4), g.p, u.p, dh.p, g.p, u.p, n));
        buf_equal(g, dgate);
        buf_equal(u, dup);
    }
    buf_free_all();
}

typedef struct {
    const gt_kernels *k;
    gt_exec *x;
    buf gate, up, out, weight;
} loss_case;

static double loss(void *context)
{
    loss_case *c = context;
    assert_ok(c->k->geglu(c->x, c->out.p, c->gate.p, c->up.p, c->out.n));
    double sum = 0;
    for (size_t i = 0; i < c->out.n; i++) sum += buf_get(c->out, i) * buf_get(c->weight, i);
    return sum;
}

static void backward_is_the_derivative(void **state)
{
    (void)state;
    loss_case c = {table_under_test(4),          exec_new(1),         buf_random(GT_F64, 20, 1, 3),
                   buf_random(GT_F64, 20, 2, 3), buf_new(GT_F64, 20), buf_random(GT_F64, 20, 3, 1)};
    buf dgate = buf_new(GT_F64, 20), dup = buf_new(GT_F64, 20);
    assert_ok(c.k->geglu_bwd(c.x, dgate.p, dup.p, c.weight.p, c.gate.p, c.up.p, 20));
    for (size_t i = 0; i < 20; i++) { /* central differences at 1e-5: error near 1e-9 */
        assert_close(buf_get(dgate, i), difference_at(c.gate, i, 1e-5, loss, &c), 1e-8);
        assert_close(buf_get(dup, i), difference_at(c.up, i, 1e-5, loss, &c), 1e-8);
    }
    buf_free_all();
}

int main(void)
{
    const struct CMUnitTest mlp[] = {
        cmocka_unit_test(gelu_has_the_values_of_the_definition),
        cmocka_unit_test(activation_agrees_with_the_reference),
        cmocka_unit_test(float32_gelu_is_good_to_a_few_ulp),
        cmocka_unit_test(in_place_and_by_any_threads_gives_the_same_bits),
        cmocka_unit_test(backward_is_the_derivative),
    };
    return run_on_every_path(mlp);
}
