/* Attention of cpu beside ref: odd lengths, windows, shared heads, pages; equal bits on one to three threads. */
#include "testing.h"

#include "checked.h"
#include "cpu_kernels.h"
#include "ref_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A document: queries q_pos ... q_pos + q_len - 1 against keys 0 ... kv_len - 1 at positions from kv_pos. */
typedef struct {
    int q_len, q_pos, kv_len, kv_pos;
} document;

typedef struct {
    int heads, kv_heads, d, window;
    bool bidirectional;
    int pages; /* tokens a page, 0: one run */
    int count;
    document doc[4];
} setting;

#define WHOLE(n)                                                                                                       \
    {                                                                                                                  \
        n, 0, n, 0                                                                                                     \
    }

/* Training: keys are the queries'. The 270M's heads, the 27B's, tiny and odd ones; windows that cut inside, at and
 * across the blocks of 64 keys; packed documents; lengths 1, 63, 64, 65 and beyond one run of 256. */
static const setting training[] = {
    {4, 1, 256, 0, false, 0, 1, {WHOLE(1)}},
    {4, 1, 256, 0, false, 0, 1, {WHOLE(200)}},
    {4, 1, 256, 37, false, 0, 1, {WHOLE(203)}},
    {4, 1, 64, 512, false, 0, 1, {WHOLE(700)}},
    {4, 2, 128, 64, false, 0, 3, {WHOLE(65), WHOLE(3), WHOLE(130)}},
    {2, 2, 128, 0, false, 0, 2, {WHOLE(63), WHOLE(64)}},
    {4, 2, 6, 4, false, 0, 2, {WHOLE(9), WHOLE(70)}},
    {6, 2, 16, 0, false, 0, 1, {WHOLE(31)}},
    {3, 1, 5, 10, false, 0, 1, {WHOLE(300)}},
    {3, 1, 32, 20, true, 0, 2, {WHOLE(150), WHOLE(40)}},
    {3, 1, 32, 0, true, 0, 1, {WHOLE(100)}},
    {1, 1, 8, 1, false, 0, 1, {WHOLE(150)}},
};

/* Caches: one query or several behind what is held already, in one run or in pages; keys that begin past position 0. */
static const setting caching[] = {
    {4, 1, 256, 0, false, 0, 1, {{1, 299, 300, 0}}},
    {4, 1, 256, 100, false, 64, 1, {{1, 299, 300, 0}}},
    {4, 2, 128, 0, false, 128, 2, {{5, 130, 135, 0}, {1, 0, 1, 0}}},
    {4, 2, 16, 50, false, 64, 2, {{40, 200, 240, 0}, {7, 90, 77, 20}}},
    {2, 1, 16, 8, false, 64, 1, {{3, 500, 80, 0}}}, /* the window has left every key: nothing to see */
    {4, 1, 64, 0, false, 192, 1, {{130, 500, 630, 0}}},
};

typedef struct {
    const setting *s;
    gt_dtype act;
    int rows, keys;
    ptrdiff_t q_stride, kv_stride;
    void *q, *k, *v, *d_o;
    const void *k_page[4][16], *v_page[4][16];
    gt_attn_span span[4];
} problem;

typedef struct {
    void *o, *dq, *dk, *dv;
    float *lse;
} result;

static size_t size_of(gt_dtype t)
{
    return t == GT_BF16 ? 2 : 4;
}

static void *random_array(gt_dtype t, size_t count, uint64_t seed, float scale)
{
    float *f = malloc((count + 1) * sizeof *f);
    fill_random(f, count, seed);
    uint16_t *h = malloc((count + 1) * sizeof *h);
    for (size_t i = 0; i < count; i++) {
        f[i] *= scale;
        h[i] = gt_f32_to_bf16(f[i]);
    }
    void *keep = t == GT_F32 ? (void *)f : (void *)h;
    free(t == GT_F32 ? (void *)h : (void *)f);
    return keep;
}

static problem problem_new(const setting *s, gt_dtype act)
{
    problem p = {.s = s, .act = act, .q_stride = s->heads * s->d + 8, .kv_stride = s->kv_heads * s->d + 4};
    for (int i = 0; i < s->count; i++) {
        p.rows += s->doc[i].q_len;
        p.keys += (s->doc[i].kv_len + 255) / 64 * 64; /* room to lie on pages, with gaps between documents */
    }
    /* Scores of a few units, so that the softmax is neither flat nor a single one. */
    p.q = random_array(act, (size_t)(p.rows * p.q_stride), 1, 3.0f);
    p.k = random_array(act, (size_t)(p.keys * p.kv_stride), 2, 2.0f);
    p.v = random_array(act, (size_t)(p.keys * p.kv_stride), 3, 1.0f);
    p.d_o = random_array(act, (size_t)p.rows * (size_t)(s->heads * s->d), 4, 1.0f);
    return p;
}

/* Lays the spans out; training puts each document's keys at its queries' rows. In place: spans point into p. */
static void lay_out(problem *p, bool train)
{
    const setting *s = p->s;
    int row = 0, key = 0;
    for (int i = 0; i < s->count; i++) {
        const document *d = &s->doc[i];
        const size_t at = (size_t)((train ? row : key) * p->kv_stride) * size_of(p->act);
        gt_kv_view kv = {.k = (char *)p->k + at,
                         .v = (char *)p->v + at,
                         .page_tokens = s->pages,
                         .stride = p->kv_stride,
                         .len = d->kv_len,
                         .pos = d->kv_pos};
        if (s->pages > 0) {
            const int pages = (d->kv_len + s->pages - 1) / s->pages;
            for (int g = 0; g < pages; g++) { /* in reverse order in memory: pages need not follow each other */
                const size_t page = (size_t)(pages - 1 - g) * (size_t)(s->pages * p->kv_stride) * size_of(p->act);
                p->k_page[i][g] = (const char *)kv.k + page;
                p->v_page[i][g] = (const char *)kv.v + page;
            }
            kv.k = kv.v = NULL;
            kv.k_pages = p->k_page[i];
            kv.v_pages = p->v_page[i];
        }
        p->span[i] = (gt_attn_span){row, d->q_len, d->q_pos, kv};
        row += d->q_len;
        key += (d->kv_len + 255) / 64 * 64;
    }
}

static void problem_free(problem *p)
{
    free(p->q);
    free(p->k);
    free(p->v);
    free(p->d_o);
}

static result result_new(const problem *p)
{
    const size_t n = (size_t)(p->rows * p->q_stride) * 4, m = (size_t)(p->keys * p->kv_stride) * 4;
    return (result){calloc(1, n + 4), calloc(1, n + 4), calloc(1, m + 4), calloc(1, m + 4),
                    calloc((size_t)(p->rows * p->s->heads) + 1, 4)};
}

static void result_free(result *r)
{
    free(r->o);
    free(r->dq);
    free(r->dk);
    free(r->dv);
    free(r->lse);
}

static gt_attn call(const problem *p, const result *r)
{
    const setting *s = p->s;
    return (gt_attn){.heads = s->heads,
                     .kv_heads = s->kv_heads,
                     .head_dim = s->d,
                     .window = s->window,
                     .bidirectional = s->bidirectional,
                     .scale = 0.8f / sqrtf((float)s->d),
                     .span_count = s->count,
                     .span = p->span,
                     .q = p->q,
                     .q_stride = p->q_stride,
                     .o = r->o,
                     .lse = r->lse};
}

/* Runs forward, and backward too when train. */
static void run(const problem *p, result *r, bool ref, int threads, bool train)
{
    const setting *s = p->s;
    gt_exec x = {0};
    int longest = 1, rows = 0;
    for (int i = 0; i < s->count; i++) {
        longest = gt_max_int(longest, s->doc[i].kv_len);
        rows += s->doc[i].q_len;
    }
    x.scratch_stride =
        gt_align_up(ref ? gt_attention_scratch_ref(longest, s->d)
                        : gt_max_size(gt_attention_scratch_cpu(longest, s->d), gt_attention_bwd_scratch_cpu(s->d)),
                    64);
    x.scratch = aligned_alloc(64, x.scratch_stride * (size_t)threads);
    assert_ok(gt_pool_create(&x.pool, threads));
    const gt_attn a = call(p, r);
    if (p->act == GT_BF16)
        assert_ok((ref ? gt_attention_ref_bf16 : gt_attention_cpu_bf16)(&x, &a));
    else
        assert_ok((ref ? gt_attention_ref_f32 : gt_attention_cpu_f32)(&x, &a));
    if (train) {
        const gt_kernel_dims dims = {.heads = s->heads, .kv_heads = s->kv_heads, .head_dim = s->d, .max_tokens = rows};
        gt_attn_grad g = {.fwd = a, .d_o = p->d_o, .dq = r->dq, .dk = r->dk, .dv = r->dv};
        g.buffer_bytes = gt_attention_bwd_buffer_bytes_cpu(&dims);
        g.buffer = aligned_alloc(64, gt_align_up(g.buffer_bytes + 64, 64));
        memset(g.buffer, 0xff, g.buffer_bytes); /* NaN: nothing may be read that was not written */
        if (p->act == GT_BF16)
            assert_ok((ref ? gt_attention_bwd_ref_bf16 : gt_attention_bwd_cpu_bf16)(&x, &g));
        else
            assert_ok((ref ? gt_attention_bwd_ref_f32 : gt_attention_bwd_cpu_f32)(&x, &g));
        free(g.buffer);
    }
    gt_pool_destroy(x.pool);
    free(x.scratch);
}

static double relative_difference(gt_dtype t, const void *got, const void *want, size_t n)
{
    double diff = 0.0, norm = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double a = t == GT_BF16 ? gt_bf16_to_f32(((const uint16_t *)got)[i]) : ((const float *)got)[i];
        const double b = t == GT_BF16 ? gt_bf16_to_f32(((const uint16_t *)want)[i]) : ((const float *)want)[i];
        diff += (a - b) * (a - b);
        norm += b * b;
    }
    return norm > 0.0 ? sqrt(diff / norm) : sqrt(diff);
}

/* float32: sums in another order. bf16: half a unit is 2^-9 relative, 0.1 % root-mean-square over random mantissas, and
 * a score or probability that falls to the other side of a rounding adds as much again. */
static double allowed(gt_dtype t)
{
    return t == GT_BF16 ? 6e-3 : 2e-5;
}

static void compare(const problem *p, const result *got, const result *want, bool train, const char *what, int index)
{
    const setting *s = p->s;
    const size_t q = (size_t)(p->rows * p->q_stride), kv = (size_t)(p->keys * p->kv_stride);
    const double limit = allowed(p->act);
    const struct {
        const char *name;
        double error;
    } e[] = {{"o", relative_difference(p->act, got->o, want->o, (size_t)p->rows * (size_t)(s->heads * s->d))},
             {"dq", relative_difference(p->act, got->dq, want->dq, train ? q : 0)},
             {"dk", relative_difference(p->act, got->dk, want->dk, train ? kv : 0)},
             {"dv", relative_difference(p->act, got->dv, want->dv, train ? kv : 0)}};
    for (size_t i = 0; i < sizeof e / sizeof *e; i++)
        if (!(e[i].error <= limit))
            fail_msg("%s %d (%s): %s differs by %.3g", what, index, gt_dtype_name(p->act), e[i].name, e[i].error);
    for (int i = 0; i < p->rows * s->heads; i++) {
        if (isinf(want->lse[i]) && got->lse[i] == want->lse[i]) continue;
        if (!(fabs((double)got->lse[i] - want->lse[i]) <= (p->act == GT_BF16 ? 2e-2 : 2e-5)))
            fail_msg("%s %d: lse[%d] is %.9g, expected %.9g", what, index, i, (double)got->lse[i],
                     (double)want->lse[i]);
    }
}

static void agree(const setting *s, int index, bool train, gt_dtype act)
{
    problem p = problem_new(s, act);
    lay_out(&p, train);
    result want = result_new(&p), got = result_new(&p);
    run(&p, &want, true, 1, train);
    run(&p, &got, false, 2, train);
    compare(&p, &got, &want, train, train ? "training" : "caching", index);
    result_free(&want);
    result_free(&got);
    problem_free(&p);
}

static void training_agrees_with_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof training / sizeof *training; i++) {
        agree(&training[i], (int)i, true, GT_F32);
        agree(&training[i], (int)i, true, GT_BF16);
    }
}

static void caches_and_pages_agree_with_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof caching / sizeof *caching; i++) {
        agree(&caching[i], (int)i, false, GT_F32);
        agree(&caching[i], (int)i, false, GT_BF16);
    }
}

static void the_bits_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof training / sizeof *training; i++) {
        problem p = problem_new(&training[i], GT_BF16);
        lay_out(&p, true);
        result first = result_new(&p);
        run(&p, &first, false, 1, true);
        for (int threads = 2; threads <= 3; threads++) {
            result again = result_new(&p);
            run(&p, &again, false, threads, true);
            const size_t q = (size_t)(p.rows * p.q_stride) * 2, kv = (size_t)(p.keys * p.kv_stride) * 2;
            assert_memory_equal(first.o, again.o, q);
            assert_memory_equal(first.dq, again.dq, q);
            assert_memory_equal(first.dk, again.dk, kv);
            assert_memory_equal(first.dv, again.dv, kv);
            assert_memory_equal(first.lse, again.lse, (size_t)(p.rows * p.s->heads) * 4);
            result_free(&again);
        }
        result_free(&first);
        problem_free(&p);
    }
}

static void a_document_does_not_see_its_neighbours(void **state)
{
    (void)state;
    const setting packed = {4, 1, 64, 0, false, 0, 2, {WHOLE(70), WHOLE(90)}};
    problem p = problem_new(&packed, GT_BF16);
    lay_out(&p, true);
    result before = result_new(&p), after = result_new(&p);
    run(&p, &before, false, 2, true);
    for (ptrdiff_t i = 0; i < 70 * p.kv_stride; i++) ((uint16_t *)p.v)[i] = 0x7fc0; /* NaN: even 0 * it would show */
    for (ptrdiff_t i = 0; i < 70 * p.kv_stride; i++) ((uint16_t *)p.k)[i] = 0x7fc0;
    run(&p, &after, false, 2, true);
    const size_t o = 70 * 4 * 64;
    assert_memory_equal((uint16_t *)before.o + o, (uint16_t *)after.o + o, 90 * 4 * 64 * 2);
    assert_memory_equal((uint16_t *)before.dq + 70 * p.q_stride, (uint16_t *)after.dq + 70 * p.q_stride,
                        (size_t)(90 * p.q_stride) * 2);
    result_free(&before);
    result_free(&after);
    problem_free(&p);
}

static void too_little_memory_is_refused(void **state)
{
    (void)state;
    const setting s = {4, 1, 64, 0, false, 0, 1, {WHOLE(70)}};
    problem p = problem_new(&s, GT_BF16);
    lay_out(&p, true);
    result r = result_new(&p);
    gt_exec x = {.scratch_stride = 64};
    gt_attn a = call(&p, &r);
    assert_fails(gt_attention_cpu_bf16(&x, &a), GT_ERR_ARG, "scratch");
    x.scratch_stride = gt_attention_bwd_scratch_cpu(64);
    gt_attn_grad g = {.fwd = a, .d_o = p.d_o, .dq = r.dq, .dk = r.dk, .dv = r.dv};
    assert_fails(gt_attention_bwd_cpu_bf16(&x, &g), GT_ERR_ARG, "buffer");
    a.heads = 3;
    a.kv_heads = 2;
    assert_fails(gt_attention_cpu_bf16(&x, &a), GT_ERR_ARG, "heads");
    result_free(&r);
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_agrees_with_the_reference),
        cmocka_unit_test(caches_and_pages_agree_with_the_reference),
        cmocka_unit_test(the_bits_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(a_document_does_not_see_its_neighbours),
        cmocka_unit_test(too_little_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
