/* The head of cpu beside ref: vocabularies around every part's edge, ties, rows that are sure; equal bits on one to
 * three threads. */
#include "testing.h"

#include "checked.h"
#include "cpu_kernels.h"
#include "ref_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int rows, hidden, vocab;
    gt_dtype stored;
} shape;

/* Empty, one, odd; vocabularies of one tile, of many with a part at the end, of more tiles than sections; groups of
 * rows that are whole, part and several; an embedding in blocks. */
static const shape shapes[] = {
    {0, 8, 20, GT_F32},      {1, 1, 1, GT_F32},       {1, 33, 300, GT_BF16},   {7, 6, 777, GT_F32},
    {17, 64, 520, GT_BF16},  {64, 40, 300, GT_F32},   {65, 32, 257, GT_BF16},  {130, 16, 1030, GT_BF16},
    {5, 64, 17000, GT_Q8_0}, {3, 640, 2000, GT_BF16}, {300, 24, 600, GT_BF16}, /* more than one pass */
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct {
    const shape *s;
    gt_dtype act;
    gt_matrix e;
    void *data, *xf;
    int32_t *target;
} problem;

typedef struct {
    double *loss;
    int32_t *argmax;
    float *dxf, *logits;
} result;

static void *stored_as(gt_dtype t, const float *f, size_t n)
{
    if (t == GT_Q8_0) { /* blocks of an f16 scale and 32 signed bytes: any bytes are valid */
        uint8_t *b = malloc(n / 32 * 34 + 1);
        for (size_t i = 0; i < n / 32; i++) {
            const uint16_t scale = gt_f32_to_f16(1.0f / 128.0f);
            memcpy(b + i * 34, &scale, 2);
            for (size_t j = 0; j < 32; j++) b[i * 34 + 2 + j] = (uint8_t)(int8_t)(f[i * 32 + j] * 100.0f);
        }
        return b;
    }
    float *copy = malloc(n * 4 + 4);
    memcpy(copy, f, n * 4);
    if (t == GT_BF16)
        for (size_t i = 0; i < n; i++) ((uint16_t *)(void *)copy)[i] = gt_f32_to_bf16(f[i]);
    return copy;
}

static problem problem_new(const shape *s, gt_dtype act)
{
    problem p = {.s = s, .act = act};
    const size_t ne = (size_t)s->vocab * (size_t)s->hidden, nx = (size_t)s->rows * (size_t)s->hidden;
    float *f = malloc((ne + nx + 1) * sizeof *f);
    fill_random(f, ne, 7);
    p.data = stored_as(s->stored, f, ne);
    p.e = (gt_matrix){.data = p.data, .dtype = s->stored, .rows = s->vocab, .cols = s->hidden, .round_to = GT_F32};
    fill_random(f, nx, 8);
    for (size_t i = 0; i < nx; i++) f[i] *= 8.0f / sqrtf((float)s->hidden); /* logits of a few units */
    p.xf = stored_as(act, f, nx);
    p.target = malloc((size_t)s->rows * sizeof *p.target + 4);
    for (int i = 0; i < s->rows; i++) p.target[i] = i == 0 ? s->vocab - 1 : (i * 7919) % s->vocab;
    free(f);
    return p;
}

static void problem_free(problem *p)
{
    free(p->data);
    free(p->xf);
    free(p->target);
}

static result result_new(const shape *s)
{
    const size_t r = (size_t)s->rows + 1;
    return (result){calloc(r, sizeof(double)), calloc(r, 4), calloc(r * (size_t)s->hidden, 4),
                    calloc(r * (size_t)s->vocab, 4)};
}

static void result_free(result *r)
{
    free(r->loss);
    free(r->argmax);
    free(r->dxf);
    free(r->logits);
}

typedef struct {
    gt_head_loss_fn *loss;
    gt_head_logits_fn *logits;
    gt_head_buffer_bytes_fn *bytes;
} head;

static head head_of(gt_dtype act, bool ref)
{
    if (ref)
        return act == GT_BF16 ? (head){gt_head_loss_ref_bf16, gt_head_logits_ref_bf16, gt_head_buffer_bytes_ref}
                              : (head){gt_head_loss_ref_f32, gt_head_logits_ref_f32, gt_head_buffer_bytes_ref};
    return act == GT_BF16 ? (head){gt_head_loss_cpu_bf16, gt_head_logits_cpu_bf16, gt_head_buffer_bytes_cpu}
                          : (head){gt_head_loss_cpu_f32, gt_head_logits_cpu_f32, gt_head_buffer_bytes_cpu};
}

static void run(const problem *p, result *r, bool ref, int threads)
{
    const shape *s = p->s;
    const head h = head_of(p->act, ref);
    gt_exec x = {.scratch_stride = gt_align_up(gt_head_scratch_cpu(s->hidden), 64)};
    x.scratch = aligned_alloc(64, x.scratch_stride * (size_t)threads);
    assert_ok(gt_pool_create(&x.pool, threads));
    const size_t bytes = h.bytes(s->rows, s->hidden, s->vocab);
    void *buffer = aligned_alloc(64, gt_align_up(bytes + 64, 64));
    memset(buffer, 0xff, bytes); /* NaN: nothing may be read that was not written */
    const gt_head_loss l = {.xf = p->xf,
                            .rows = s->rows,
                            .hidden = s->hidden,
                            .embed = &p->e,
                            .target = p->target,
                            .loss = r->loss,
                            .argmax = r->argmax,
                            .dxf = r->dxf,
                            .buffer = buffer,
                            .buffer_bytes = bytes};
    assert_ok(h.loss(&x, &l));
    assert_ok(h.logits(&x, r->logits, p->xf, s->rows, s->hidden, &p->e, buffer, bytes));
    free(buffer);
    gt_pool_destroy(x.pool);
    free(x.scratch);
}

/* Logits and losses are float32 sums of `hidden` products of units. dxf in bf16: each exponential is rounded once,
 * 2^-9, and random; a thousand of them average out, a few do not. */
static void loss_gradient_and_logits_agree_with_the_reference(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        for (int b = 0; b < 2; b++) {
            const shape *s = &shapes[i];
            problem p = problem_new(s, b ? GT_BF16 : GT_F32);
            result want = result_new(s), got = result_new(s);
            run(&p, &want, true, 1);
            run(&p, &got, false, 2);
            for (int r = 0; r < s->rows; r++) {
                if (!(fabs(got.loss[r] - want.loss[r]) <= 1e-4))
                    fail_msg("shape %d row %d: loss %.9g, expected %.9g", i, r, got.loss[r], want.loss[r]);
                const float *z = want.logits + (size_t)r * (size_t)s->vocab;
                if (got.argmax[r] != want.argmax[r] && z[want.argmax[r]] - z[got.argmax[r]] > 1e-5f)
                    fail_msg("shape %d row %d: argmax %d, expected %d", i, r, got.argmax[r], want.argmax[r]);
            }
            const size_t nx = (size_t)s->rows * (size_t)s->hidden, nz = (size_t)s->rows * (size_t)s->vocab;
            const double logits = max_abs_diff(got.logits, want.logits, nz),
                         dxf = s->rows ? rel_l2_diff(got.dxf, want.dxf, nx) : 0.0;
            /* one row of a vocabulary of one has a zero gradient: nothing to be relative to */
            if (!(logits <= 1e-4)) fail_msg("shape %d: logits differ by %.3g", i, logits);
            if (s->vocab > 1 && !(dxf <= (b ? 3e-3 : 1e-5)))
                fail_msg("shape %d %s: dxf differs by %.3g", i, b ? "bf16" : "f32", dxf);
            result_free(&want);
            result_free(&got);
            problem_free(&p);
        }
}

static void the_bits_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        const shape *s = &shapes[i];
        problem p = problem_new(s, GT_BF16);
        result first = result_new(s);
        run(&p, &first, false, 1);
        for (int threads = 2; threads <= 3; threads++) {
            result again = result_new(s);
            run(&p, &again, false, threads);
            assert_memory_equal(first.loss, again.loss, (size_t)s->rows * sizeof(double) + 8);
            assert_memory_equal(first.argmax, again.argmax, (size_t)s->rows * 4 + 4);
            assert_memory_equal(first.dxf, again.dxf, (size_t)s->rows * (size_t)s->hidden * 4 + 4);
            assert_memory_equal(first.logits, again.logits, (size_t)s->rows * (size_t)s->vocab * 4 + 4);
            result_free(&again);
        }
        result_free(&first);
        problem_free(&p);
    }
}

/* Target logit far above the rest: loss and gradient are near 0, and must be near it to their own size. */
static void a_confident_row_keeps_its_small_gradient(void **state)
{
    (void)state;
    const shape s = {1, 16, 600, GT_BF16};
    problem p = problem_new(&s, GT_BF16);
    uint16_t *e = p.data, *x = p.xf;
    for (int c = 0; c < 16; c++) {
        x[c] = gt_f32_to_bf16(1.0f);
        e[(s.vocab - 1) * 16 + c] = gt_f32_to_bf16(1.0f); /* z = 16 there, within +-8 elsewhere */
    }
    result want = result_new(&s), got = result_new(&s);
    run(&p, &want, true, 1);
    run(&p, &got, false, 1);
    assert_true(want.loss[0] < 1e-2);
    assert_true(fabs(got.loss[0] - want.loss[0]) < 1e-5 * 1.0);
    assert_true(rel_l2_diff(got.dxf, want.dxf, 16) < 2e-2);
    result_free(&want);
    result_free(&got);
    problem_free(&p);
}

static void the_lowest_id_wins_a_tie(void **state)
{
    (void)state;
    const shape s = {2, 8, 1000, GT_F32};
    problem p = problem_new(&s, GT_F32);
    memset(p.data, 0, 1000 * 8 * 4);
    for (int c = 0; c < 8; c++) {
        ((float *)p.xf)[c] = 1.0f;
        ((float *)p.xf)[8 + c] = -1.0f;
        ((float *)p.data)[700 * 8 + c] = ((float *)p.data)[300 * 8 + c] = 1.0f;
    }
    result got = result_new(&s);
    run(&p, &got, false, 2);
    assert_int_equal(got.argmax[0], 300);
    assert_int_equal(got.argmax[1], 0);
    result_free(&got);
    problem_free(&p);
}

static void the_loss_alone_needs_neither_gradient_nor_argmax(void **state)
{
    (void)state;
    const shape *s = &shapes[4];
    problem p = problem_new(s, GT_BF16);
    result want = result_new(s), got = result_new(s);
    run(&p, &want, false, 1);
    gt_exec x = {.scratch_stride = gt_align_up(gt_head_scratch_cpu(s->hidden), 64)};
    x.scratch = aligned_alloc(64, x.scratch_stride);
    const size_t bytes = gt_head_buffer_bytes_cpu(s->rows, s->hidden, s->vocab);
    void *buffer = aligned_alloc(64, gt_align_up(bytes, 64));
    gt_head_loss l = {.xf = p.xf,
                      .rows = s->rows,
                      .hidden = s->hidden,
                      .embed = &p.e,
                      .target = p.target,
                      .loss = got.loss,
                      .buffer = buffer,
                      .buffer_bytes = bytes};
    assert_ok(gt_head_loss_cpu_bf16(&x, &l));
    assert_memory_equal(want.loss, got.loss, (size_t)s->rows * sizeof(double));
    l.buffer_bytes = bytes - 1;
    assert_fails(gt_head_loss_cpu_bf16(&x, &l), GT_ERR_ARG, "buffer");
    l.buffer_bytes = bytes;
    p.target[2] = s->vocab;
    assert_fails(gt_head_loss_cpu_bf16(&x, &l), GT_ERR_ARG, "target 2");
    p.target[2] = 0;
    x.scratch_stride = 64;
    assert_fails(gt_head_loss_cpu_bf16(&x, &l), GT_ERR_ARG, "scratch");
    free(buffer);
    free(x.scratch);
    result_free(&want);
    result_free(&got);
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_gradient_and_logits_agree_with_the_reference),
        cmocka_unit_test(the_bits_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(a_confident_row_keeps_its_small_gradient),
        cmocka_unit_test(the_lowest_id_wins_a_tie),
        cmocka_unit_test(the_loss_alone_needs_neither_gradient_nor_argmax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
