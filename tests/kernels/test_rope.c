/* Norm and rotation of heads, forward and backward: cpu against ref, ref backward against differences. */
#include "testing.h"

#include "kernel_case.h"

#include <math.h>

static const int shape[][3] = {{0, 4, 256}, {1, 1, 2},   {3, 2, 6},
                               {5, 3, 34},  {7, 4, 256}, {3, 32, 128}}; /* n, heads, d */
enum { SHAPES = sizeof shape / sizeof *shape, POSITIONS = 50 };

static const float eps = 1e-6f;

typedef struct {
    buf in, g, cos, sin;
    int32_t pos[16];
    ptrdiff_t stride;
} rope_case;

static rope_case make(gt_dtype t, int n, int heads, int d)
{
    rope_case c;
    c.stride = heads * d + 3; /* rows need not be contiguous */
    c.in = buf_random(t, (size_t)n * (size_t)c.stride, 1, 3);
    c.g = buf_random(GT_F32, (size_t)d, 2, 2);
    c.cos = buf_new(GT_F32, (size_t)POSITIONS * (size_t)d / 2);
    c.sin = buf_new(GT_F32, (size_t)POSITIONS * (size_t)d / 2);
    for (size_t i = 0; i < c.cos.n; i++) {
        double angle = (double)(i / (size_t)(d / 2)) * pow(10000, -2.0 * (double)(i % (size_t)(d / 2)) / d);
        double co = cos(angle), si = sin(angle);
        buf_set(c.cos, i, t == GT_BF16 ? gt_bf16_to_f32(gt_f64_to_bf16(co)) : co);
        buf_set(c.sin, i, t == GT_BF16 ? gt_bf16_to_f32(gt_f64_to_bf16(si)) : si);
    }
    for (int i = 0; i < 16; i++) c.pos[i] = (i * 17 + 3) % POSITIONS;
    return c;
}

/* A bf16 rounding of the norm, of two products and of their sum may each fall on the other side: three ulp of the
 * greatest value that took part (below 8); in float32 a few roundings of values below 8. */
static double allowed(gt_dtype t)
{
    return t == GT_BF16 ? 8 * 3 * ulp_of(t) : 8 * 8 * ulp_of(t);
}

static void rotation_agrees_with_the_reference(void **state)
{
    (void)state;
    gt_exec *x = exec_new(3);
    for (int table = 0; table < FAST_TABLES; table++)
        for (int s = 0; s < SHAPES; s++) {
            const gt_kernels *ref, *k = fast_table(table, &ref);
            int n = shape[s][0], heads = shape[s][1], d = shape[s][2];
            rope_case c = make(k->act, n, heads, d);
            buf got = buf_random(k->act, c.in.n, 9, 1), want = buf_copy(got);
            assert_ok(
                k->norm_rope(x, got.p, c.stride, c.in.p, c.stride, c.g.p, c.cos.p, c.sin.p, c.pos, n, heads, d, eps));
            assert_ok(ref->norm_rope(x, want.p, c.stride, c.in.p, c.stride, c.g.p, c.cos.p, c.sin.p, c.pos, n, heads, d,
                                     eps));
            buf_close(got, want, 0, allowed(k->act));
            /* and where nothing is near a rounding's edge the two must be equal: all but a few per cent are */
            size_t differ = 0;
            for (size_t i = 0; i < got.n; i++) differ += buf_get(got, i) != buf_get(want, i);
            if (k->act == GT_BF16) assert_true(differ * 20 <= got.n);
        }
    buf_free_all();
}

static void backward_agrees_with_the_reference(void **state)
{
    (void)state;
    gt_exec *x = exec_new(3);
    for (int table = 0; table < FAST_TABLES; table++)
        for (int s = 0; s < SHAPES; s++) {
            const gt_kernels *ref, *k = fast_table(table, &ref);
            int n = shape[s][0], heads = shape[s][1], d = shape[s][2];
            rope_case c = make(k->act, n, heads, d);
            buf dy = buf_random(k->act, c.in.n, 5, 1), got = buf_copy(dy), want = buf_copy(dy);
            /* in place, which is the harder case */
            assert_ok(k->norm_rope_bwd(x, got.p, c.stride, got.p, c.stride, c.in.p, c.stride, c.g.p, c.cos.p, c.sin.p,
                                       c.pos, n, heads, d, eps));
            assert_ok(ref->norm_rope_bwd(x, want.p, c.stride, dy.p, c.stride, c.in.p, c.stride, c.g.p, c.cos.p, c.sin.p,
                                         c.pos, n, heads, d, eps));
            /* one rounding of the result, and float32 cancellation among terms of up to 16 (r is below 2 here) */
            buf_close(got, want, k->act == GT_BF16 ? 1.01 * ulp_of(GT_BF16) : 0,
                      d == 2 ? 1e-3 : 16 * 8 * ulp_of(GT_F32));
        }
    buf_free_all();
}

static void in_place_and_by_any_threads_gives_the_same_bits(void **state)
{
    (void)state;
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        rope_case c = make(k->act, 16, 4, 256);
        buf want = buf_copy(c.in), here = buf_copy(c.in);
        assert_ok(k->norm_rope(exec_new(1), want.p, c.stride, c.in.p, c.stride, c.g.p, c.cos.p, c.sin.p, c.pos, 16, 4,
                               256, eps));
        assert_ok(k->norm_rope(exec_new(4), here.p, c.stride, here.p, c.stride, c.g.p, c.cos.p, c.sin.p, c.pos, 16, 4,
                               256, eps));
        buf_equal(here, want);
    }
    buf_free_all();
}

typedef struct {
    const gt_kernels *k;
    gt_exec *x;
    rope_case c;
    buf out, weight;
} loss_case;

static double loss(void *context)
{
    loss_case *l = context;
    assert_ok(l->k->norm_rope(l->x, l->out.p, l->c.stride, l->c.in.p, l->c.stride, l->c.g.p, l->c.cos.p, l->c.sin.p,
                              l->c.pos, 3, 2, 6, eps));
    double sum = 0;
    for (size_t i = 0; i < l->out.n; i++) sum += buf_get(l->out, i) * buf_get(l->weight, i);
    return sum;
}

static void backward_is_the_derivative(void **state)
{
    (void)state;
    loss_case l = {.k = table_under_test(4), .x = exec_new(2), .c = make(GT_F64, 3, 2, 6)};
    l.out = buf_new(GT_F64, l.c.in.n);
    l.weight = buf_random(GT_F64, l.c.in.n, 3, 1);
    buf d_in = buf_new(GT_F64, l.c.in.n);
    assert_ok(l.k->norm_rope_bwd(l.x, d_in.p, l.c.stride, l.weight.p, l.c.stride, l.c.in.p, l.c.stride, l.c.g.p,
                                 l.c.cos.p, l.c.sin.p, l.c.pos, 3, 2, 6, eps));
    for (size_t i = 0; i < d_in.n; i++) /* central differences at 1e-5: error near 1e-10 */
        assert_close(buf_get(d_in, i), difference_at(l.c.in, i, 1e-5, loss, &l), 1e-8);
    buf_free_all();
}

static void an_odd_head_is_refused(void **state)
{
    (void)state;
    gt_exec *x = exec_new(1);
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        assert_fails(k->norm_rope(x, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL, 0, 1, 7, eps), GT_ERR_ARG, "7");
        assert_fails(k->norm_rope_bwd(x, NULL, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL, 0, 1, 7, eps), GT_ERR_ARG,
                     "7");
    }
    buf_free_all();
}

int main(void)
{
    const struct CMUnitTest rope[] = {
        cmocka_unit_test(rotation_agrees_with_the_reference),
        cmocka_unit_test(backward_agrees_with_the_reference),
        cmocka_unit_test(in_place_and_by_any_threads_gives_the_same_bits),
        cmocka_unit_test(backward_is_the_derivative),
        cmocka_unit_test(an_odd_head_is_refused),
    };
    return run_on_every_path(rope);
}
