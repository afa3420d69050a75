/* Products of cpu beside sums in double, at shapes around every tile's edge; equal bits on one to three threads. */
#include "testing.h"

#include "arena.h"
#include "cpu_kernels.h"
#include "onednn.h"
#include "weight_order_cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int m, n, k;
    bool ta, tb;
    int pad; /* added to every row's stride */
} shape;

/* Empty, one, odd, tiny heads, the 270M's projections and adapters, tokens summed over (ta), more than one tile each
 * way. */
static const shape shapes[] = {
    {0, 5, 7, false, true, 0},        {5, 0, 7, false, true, 0},        {3, 4, 0, false, false, 1},
    {1, 1, 1, false, true, 0},        {1, 1, 1, true, false, 3},        {1, 640, 33, false, true, 0},
    {1, 300, 640, false, true, 0},    {2, 3, 5, false, false, 1},       {7, 13, 6, false, true, 3},
    {7, 13, 6, false, false, 0},      {33, 17, 65, true, false, 2},     {5, 9, 31, true, true, 1},
    {49, 64, 64, false, true, 0},     {100, 256, 640, false, true, 0},  {203, 1024, 64, false, true, 0},
    {203, 64, 1024, false, false, 0}, {391, 640, 96, false, true, 0},   {385, 48, 640, false, false, 5},
    {97, 2100, 72, false, true, 0},   {60, 2100, 72, false, false, 9},  {16, 640, 777, true, false, 0},
    {1024, 16, 203, true, false, 0},  {300, 290, 1100, true, false, 4}, {64, 8, 1027, true, true, 0},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct {
    gt_exec x;
    gt_pool *pool;
} runner;

static runner runner_new(int threads)
{
    runner r = {0};
    assert_ok(gt_pool_create(&r.pool, threads));
    r.x.pool = r.pool;
    r.x.scratch_stride = (gt_gemm_scratch_cpu() + 63) & ~(size_t)63;
    r.x.scratch = aligned_alloc(64, r.x.scratch_stride * (size_t)threads);
    assert_non_null(r.x.scratch);
    return r;
}

static void runner_free(runner *r)
{
    gt_pool_destroy(r->pool);
    free(r->x.scratch);
}

static float get(gt_dtype t, const void *p, size_t i)
{
    return t == GT_BF16 ? gt_bf16_to_f32(((const uint16_t *)p)[i]) : ((const float *)p)[i];
}

/* Count random elements of dtype t, malloc'ed. */
static void *random_array(gt_dtype t, size_t count, uint64_t seed)
{
    float *f = malloc((count + 1) * sizeof *f);
    fill_random(f, count, seed);
    if (t == GT_F32) return f;
    uint16_t *h = malloc((count + 1) * sizeof *h);
    for (size_t i = 0; i < count; i++) h[i] = gt_f32_to_bf16(f[i]);
    free(f);
    return h;
}

typedef struct {
    gt_gemm g;
    gt_dtype act;
    size_t c_count;
    void *c_before;
} problem;

static problem problem_new(const shape *s, gt_dtype act, gt_dtype c_dtype, float alpha, float beta)
{
    problem p = {.act = act};
    const int a_rows = s->ta ? s->k : s->m, a_cols = s->ta ? s->m : s->k;
    const int b_rows = s->tb ? s->n : s->k, b_cols = s->tb ? s->k : s->n;
    p.g = (gt_gemm){.m = s->m,
                    .n = s->n,
                    .k = s->k,
                    .lda = a_cols + s->pad,
                    .ldb = b_cols + s->pad,
                    .ldc = s->n + s->pad,
                    .ta = s->ta,
                    .tb = s->tb,
                    .alpha = alpha,
                    .beta = beta,
                    .c_dtype = c_dtype};
    p.g.a = random_array(act, (size_t)(a_rows * p.g.lda), 1);
    p.g.b = random_array(act, (size_t)(b_rows * p.g.ldb), 2);
    p.c_count = (size_t)(s->m * p.g.ldc);
    p.c_before = random_array(c_dtype, p.c_count, 3);
    p.g.c = random_array(c_dtype, p.c_count, 3);
    return p;
}

static void problem_free(problem *p)
{
    free((void *)(uintptr_t)p->g.a);
    free((void *)(uintptr_t)p->g.b);
    free(p->g.c);
    free(p->c_before);
}

static size_t c_bytes(const problem *p)
{
    return p->c_count * (p->g.c_dtype == GT_BF16 ? 2 : 4);
}

static void run(const problem *p, runner *r)
{
    memcpy(p->g.c, p->c_before, c_bytes(p));
    assert_ok(p->act == GT_BF16 ? gt_gemm_cpu_bf16(&r->x, &p->g) : gt_gemm_cpu_f32(&r->x, &p->g));
}

/* Against double loops, all of a small result and a seventh of a large one. Operands are in [-1, 1), so partial sums
 * are near sqrt(k)/3 and k roundings of 2^-24 of them add up like a random walk to k/3 * 2^-24; six times that is
 * allowed. A bf16 result adds half a unit of its own, at most 2^-8. */
static void check(const problem *p)
{
    const gt_gemm *g = &p->g;
    for (int i = 0; i < g->m; i++)
        for (int j = 0; j < g->ldc; j++) {
            const size_t at = (size_t)(i * g->ldc + j);
            const double before = get(g->c_dtype, p->c_before, at), got = get(g->c_dtype, g->c, at);
            if (j >= g->n) { /* between the rows nothing is written */
                if (got != before) fail_msg("%d x %d x %d wrote column %d of row %d", g->m, g->n, g->k, j, i);
                continue;
            }
            if (p->c_count > 20000 && (i + j) % 7 != 0) continue;
            double sum = 0.0;
            for (int t = 0; t < g->k; t++)
                sum += (double)get(p->act, g->a, (size_t)(g->ta ? t * g->lda + i : i * g->lda + t)) *
                       get(p->act, g->b, (size_t)(g->tb ? j * g->ldb + t : t * g->ldb + j));
            const double want = g->alpha * sum + (g->beta != 0.0f ? before : 0.0);
            const double limit =
                1.2e-7 * (g->k + 8) * fabs(g->alpha) + (g->c_dtype == GT_BF16 ? fabs(want) / 256.0 : 0.0);
            if (!(fabs(got - want) <= limit))
                fail_msg("%d x %d x %d ta %d tb %d %s: C[%d,%d] is %.9g, expected %.9g +- %.3g", g->m, g->n, g->k,
                         g->ta, g->tb, gt_dtype_name(g->c_dtype), i, j, got, want, limit);
        }
}

static void products_agree_with_double_loops(void **state)
{
    (void)state;
    runner r = runner_new(2);
    const gt_dtype types[][2] = {{GT_BF16, GT_BF16}, {GT_BF16, GT_F32}, {GT_F32, GT_F32}};
    for (int s = 0; s < SHAPES; s++)
        for (int t = 0; t < 3; t++)
            for (int v = 0; v < 3; v++) {
                problem p =
                    problem_new(&shapes[s], types[t][0], types[t][1], v == 2 ? 2.0f : 1.0f, v > 0 ? 1.0f : 0.0f);
                run(&p, &r);
                check(&p);
                problem_free(&p);
            }
    runner_free(&r);
}

static void the_bits_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    runner r[3] = {runner_new(1), runner_new(2), runner_new(3)};
    for (int s = 0; s < SHAPES; s++)
        for (int f32 = 0; f32 < 2; f32++) {
            problem p = problem_new(&shapes[s], GT_BF16, f32 ? GT_F32 : GT_BF16, 1.0f, 1.0f);
            run(&p, &r[0]);
            void *first = malloc(c_bytes(&p) + 1);
            memcpy(first, p.g.c, c_bytes(&p));
            for (int t = 1; t < 3; t++) {
                run(&p, &r[t]);
                assert_memory_equal(first, p.g.c, c_bytes(&p));
            }
            free(first);
            problem_free(&p);
        }
    for (int t = 0; t < 3; t++) runner_free(&r[t]);
}

/* Weights in the decoder's own order: one row, few, odd, several tiles, more columns than a strip's piece. */
static const shape weights[] = {
    {1, 320, 128, false, true, 0},    {1, 320, 128, false, false, 0},    {5, 64, 64, false, true, 0},
    {31, 256, 640, false, true, 0},   {37, 640, 2048, false, false, 0},  {130, 2048, 640, false, true, 0},
    {203, 192, 1088, false, true, 0}, {203, 1088, 192, false, false, 0}, {853, 128, 192, false, true, 0},
    {9, 96, 64, false, true, 0},      {9, 64, 72, false, false, 0}, /* these two stay row-major */
};

static void weights_decoded_for_products_give_the_same_products(void **state)
{
    (void)state;
    runner r = runner_new(2), lone = runner_new(1);
    for (size_t s = 0; s < sizeof weights / sizeof *weights; s++)
        for (int v = 0; v < 3; v++) {
            problem p = problem_new(&weights[s], GT_BF16, v == 2 ? GT_F32 : GT_BF16, 1.0f, v > 0 ? 1.0f : 0.0f);
            const gt_matrix w = {.data = p.g.b,
                                 .dtype = GT_BF16,
                                 .round_to = GT_BF16,
                                 .rows = p.g.tb ? p.g.n : p.g.k,
                                 .cols = p.g.tb ? p.g.k : p.g.n};
            const size_t bytes = ((size_t)w.rows * (size_t)w.cols * 2 + 63) & ~(size_t)63;
            void *packed = aligned_alloc(64, bytes), *first = malloc(c_bytes(&p));
            p.g.b_order = p.g.tb ? GT_ORDER_FORWARD : GT_ORDER_BACKWARD;
            assert_ok(gt_decode_weight_cpu_bf16(&r.x, packed, &w, p.g.b_order));
            assert_int_equal(gt_weight_is_packed(GT_BF16, w.rows, w.cols, p.g.b_order),
                             gt_onednn_blocks() && w.rows % 64 == 0 && w.cols % 64 == 0);
            const void *as_stored = p.g.b;
            p.g.b = packed;
            run(&p, &r);
            memcpy(first, p.g.c, c_bytes(&p));
            run(&p, &lone);
            assert_memory_equal(first, p.g.c, c_bytes(&p));
            p.g.b = as_stored;
            check(&p);
            free(packed);
            free(first);
            problem_free(&p);
        }
    runner_free(&r);
    runner_free(&lone);
}

static void beta_zero_never_reads_the_result(void **state)
{
    (void)state;
    runner r = runner_new(2);
    const shape s[] = {{60, 70, 40, false, true, 0}, {60, 70, 700, true, false, 0}, {60, 70, 0, false, true, 0}};
    for (int i = 0; i < 3; i++)
        for (int f32 = 0; f32 < 2; f32++) {
            problem p = problem_new(&s[i], GT_BF16, f32 ? GT_F32 : GT_BF16, 1.0f, 0.0f);
            memset(p.c_before, 0xff, c_bytes(&p)); /* NaN in both formats */
            run(&p, &r);
            for (size_t c = 0; c < p.c_count; c++) assert_true(isfinite(get(p.g.c_dtype, p.g.c, c)));
            problem_free(&p);
        }
    runner_free(&r);
}

static void more_shapes_than_the_cache_holds_are_fine(void **state)
{
    (void)state;
    runner r = runner_new(2);
    for (int n = 1; n <= 600; n++) {
        const shape s = {3, n % 200 + 1, n / 200 + 1, false, true, 0};
        problem p = problem_new(&s, GT_F32, GT_F32, 1.0f, 0.0f);
        p.g.alpha = 1.0f + (float)n / 1024.0f;
        run(&p, &r);
        check(&p);
        problem_free(&p);
    }
    runner_free(&r);
}

/* The primitive of such a product is found again in the cache: one that is not is built for ever. */
static void a_product_with_an_alpha_that_is_no_number_ends(void **state)
{
    (void)state;
    runner r = runner_new(1);
    const shape s = {3, 5, 7, false, true, 0};
    problem p = problem_new(&s, GT_F32, GT_F32, NAN, 0.0f);
    run(&p, &r);
    for (size_t c = 0; c < p.c_count; c++) assert_true(isnan(get(GT_F32, p.g.c, c)));
    problem_free(&p);
    runner_free(&r);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    runner r = runner_new(1);
    gt_gemm g = {.m = -1, .n = 1, .k = 1, .c_dtype = GT_F32};
    assert_fails(gt_gemm_cpu_bf16(&r.x, &g), GT_ERR_ARG, "negative");
    g.m = 1;
    g.c_dtype = GT_BF16;
    assert_fails(gt_gemm_cpu_f32(&r.x, &g), GT_ERR_ARG, "BF16");
    if (gt_onednn_blocks()) {
        g = (gt_gemm){.m = 2,
                      .n = 64,
                      .k = 64,
                      .lda = 64,
                      .ldb = 64,
                      .ldc = 65,
                      .tb = true,
                      .b_order = GT_ORDER_FORWARD,
                      .c_dtype = GT_BF16};
        assert_fails(gt_gemm_cpu_bf16(&r.x, &g), GT_ERR_ARG, "dense");
    }
    runner_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_agree_with_double_loops),
        cmocka_unit_test(the_bits_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(weights_decoded_for_products_give_the_same_products),
        cmocka_unit_test(beta_zero_never_reads_the_result),
        cmocka_unit_test(more_shapes_than_the_cache_holds_are_fine),
        cmocka_unit_test(a_product_with_an_alpha_that_is_no_number_ends),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
