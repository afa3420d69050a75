/* The arbiter itself: products, attention and the head of ref against the definition spelled out, hand-counted cases,
 * and float64 differences. Nothing here looks at cpu. */
#include "testing.h"

#include "kernel_case.h"

#include <math.h>
#include <stdlib.h>

static const gt_kernels *ref(int i) /* 0: F32, 1: BF16, 2: F64 */
{
    return table_under_test(i == 2 ? 4 : i);
}

static void a_product_is_the_sum_of_products(void **state)
{
    (void)state;
    static const int shape[][3] = {{0, 3, 2}, {3, 0, 2}, {2, 3, 0}, {1, 1, 1}, {5, 7, 9}, {9, 65, 130}}; /* m, n, k */
    gt_exec *x = exec_new(2);
    for (int table = 0; table < 3; table++)
        for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
            for (int form = 0; form < 16; form++) {
                const gt_kernels *k = ref(table);
                int m = shape[s][0], n = shape[s][1], kk = shape[s][2];
                bool ta = form & 1, tb = form & 2;
                ptrdiff_t lda = (ta ? m : kk) + 2, ldb = (tb ? kk : n) + 1, ldc = n + 3;
                buf a = buf_random(k->act, (size_t)((ta ? kk : m) * lda), 1, 1);
                buf b = buf_random(k->act, (size_t)((tb ? n : kk) * ldb), 2, 1);
                buf c = buf_random(form & 8 ? GT_F32 : k->act, (size_t)(m * ldc), 3, 1), before = buf_copy(c);
                gt_gemm g = {.a = a.p,
                             .b = b.p,
                             .c = c.p,
                             .m = m,
                             .n = n,
                             .k = kk,
                             .lda = lda,
                             .ldb = ldb,
                             .ldc = ldc,
                             .ta = ta,
                             .tb = tb,
                             .alpha = 0.5f,
                             .beta = form & 4 ? 1.0f : 0.0f,
                             .c_dtype = c.type};
                assert_ok(k->gemm(x, &g));
                for (int i = 0; i < m; i++)
                    for (ptrdiff_t j = 0; j < ldc; j++) {
                        size_t at = (size_t)(i * ldc + j);
                        double want = buf_get(before, at), sum = 0;
                        if (j < n) {
                            for (int p = 0; p < kk; p++)
                                sum += buf_get(a, (size_t)(ta ? p * lda + i : i * lda + p)) *
                                       buf_get(b, (size_t)(tb ? j * ldb + p : p * ldb + j));
                            want = 0.5 * sum + (form & 4 ? want : 0);
                        }
                        assert_close(buf_get(c, at), want,
                                     0.5 * ulp_of(c.type) * fabs(want) + 1e-15); /* one rounding */
                    }
            }
    buf_free_all();
}

static void a_product_in_a_third_dtype_is_refused(void **state)
{
    (void)state;
    gt_gemm g = {.c_dtype = GT_F16};
    assert_fails(ref(0)->gemm(exec_new(1), &g), GT_ERR_ARG, "F16");
    buf_free_all();
}

static void the_keys_a_query_sees_are_counted_by_hand(void **state)
{
    (void)state;
    gt_attn a = {.window = 0};
    gt_kv_view kv = {.len = 10, .pos = 0};
    int begin, end;
    gt_attn_visible(&a, &kv, 3, &begin, &end);
    assert_true(begin == 0 && end == 4);
    a.window = 3; /* itself and two before */
    gt_attn_visible(&a, &kv, 5, &begin, &end);
    assert_true(begin == 3 && end == 6);
    gt_attn_visible(&a, &kv, 12, &begin, &end); /* behind the last key: still those within the window */
    assert_true(begin == 10 && end == 10);
    gt_attn_visible(&a, &kv, 11, &begin, &end);
    assert_true(begin == 9 && end == 10);
    kv.pos = 4; /* key 0 stands at position 4 */
    gt_attn_visible(&a, &kv, 5, &begin, &end);
    assert_true(begin == 0 && end == 2);
    gt_attn_visible(&a, &kv, 2, &begin, &end);
    assert_true(begin == end);
    a.bidirectional = true;
    kv.pos = 0;
    gt_attn_visible(&a, &kv, 5, &begin, &end); /* |q - k| < 3 */
    assert_true(begin == 3 && end == 8);
    a.window = 0;
    gt_attn_visible(&a, &kv, 5, &begin, &end);
    assert_true(begin == 0 && end == 10);
}

enum { HEADS = 4, KV = 2, D = 6, TOKENS = 9 };

typedef struct {
    const gt_kernels *k;
    gt_exec *x;
    buf q, kk, v, o, lse, d_o;
    gt_attn_span span[2];
    gt_attn a;
} attn_case;

/* Two documents of 5 and 4 tokens in one batch. */
static attn_case attn(int table, int window, bool bidirectional)
{
    attn_case c = {.k = ref(table), .x = exec_new(2)};
    gt_dtype t = c.k->act;
    c.q = buf_random(t, TOKENS * HEADS * D, 1, 2);
    c.kk = buf_random(t, TOKENS * KV * D, 2, 2);
    c.v = buf_random(t, TOKENS * KV * D, 3, 1);
    c.o = buf_new(t, TOKENS * HEADS * D);
    c.lse = buf_new(GT_F32, TOKENS * HEADS);
    c.d_o = buf_random(t, TOKENS * HEADS * D, 4, 1);
    size_t second = 5 * KV * D * (t == GT_BF16 ? 2 : t == GT_F32 ? 4 : 8);
    c.span[0] = (gt_attn_span){0, 5, 0, {.k = c.kk.p, .v = c.v.p, .stride = KV * D, .len = 5}};
    c.span[1] = (gt_attn_span){
        5, 4, 0, {.k = (char *)c.kk.p + second, .v = (char *)c.v.p + second, .stride = KV * D, .len = 4}};
    c.a = (gt_attn){.heads = HEADS, .kv_heads = KV, .head_dim = D, .window = window, .bidirectional = bidirectional};
    c.a.scale = 0.4f;
    c.a.span_count = 2;
    c.a.q = c.q.p;
    c.a.q_stride = HEADS * D;
    c.a.o = c.o.p;
    c.a.lse = c.lse.p;
    return c;
}

static double round_as(gt_dtype t, double v)
{
    return t == GT_BF16 ? gt_bf16_to_f32(gt_f64_to_bf16(v)) : v;
}

static void attention_is_the_softmax_of_what_is_seen(void **state)
{
    (void)state;
    for (int table = 0; table < 3; table++)
        for (int window = 0; window <= 2; window += 2) {
            attn_case c = attn(table, window, false);
            c.a.span = c.span;
            gt_dtype t = c.k->act;
            assert_ok(c.k->attention(c.x, &c.a));
            for (int row = 0; row < TOKENS; row++)
                for (int h = 0; h < HEADS; h++) {
                    int first = row < 5 ? 0 : 5, low = window ? (row - 1 > first ? row - 1 : first) : first;
                    double s[TOKENS], z = 0;
                    for (int j = low; j <= row; j++) {
                        s[j] = 0;
                        for (int e = 0; e < D; e++)
                            s[j] += buf_get(c.q, (size_t)((row * HEADS + h) * D + e)) *
                                    buf_get(c.kk, (size_t)((j * KV + h / 2) * D + e));
                        s[j] = round_as(t, round_as(t, s[j]) * (double)0.4f);
                        z += exp(s[j]);
                    }
                    assert_close(buf_get(c.lse, (size_t)(row * HEADS + h)), log(z), 1e-6);
                    for (int e = 0; e < D; e++) {
                        double o = 0;
                        for (int j = low; j <= row; j++)
                            o += round_as(t, exp(s[j]) / z) * buf_get(c.v, (size_t)((j * KV + h / 2) * D + e));
                        assert_close(buf_get(c.o, (size_t)((row * HEADS + h) * D + e)), o,
                                     0.5 * ulp_of(t) * fabs(o) + 1e-14); /* one rounding of the result */
                    }
                }
        }
    buf_free_all();
}

static double attention_loss(void *context)
{
    attn_case *c = context;
    c->a.span = c->span;
    assert_ok(c->k->attention(c->x, &c->a));
    double sum = 0;
    for (size_t i = 0; i < c->o.n; i++) sum += buf_get(c->o, i) * buf_get(c->d_o, i);
    return sum;
}

static void attention_backward_is_the_derivative(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        attn_case c = attn(2, form == 1 ? 3 : 0, form == 2);
        attention_loss(&c);
        buf dq = buf_new(GT_F64, c.q.n), dk = buf_new(GT_F64, c.kk.n), dv = buf_new(GT_F64, c.v.n);
        gt_attn_grad g = {.fwd = c.a, .d_o = c.d_o.p, .dq = dq.p, .dk = dk.p, .dv = dv.p};
        gt_kernel_dims dims = {.heads = HEADS, .kv_heads = KV, .head_dim = D, .max_tokens = TOKENS};
        g.buffer_bytes = c.k->attention_bwd_buffer_bytes(&dims);
        g.buffer = buf_new(GT_F64, g.buffer_bytes / 8 + 1).p;
        assert_ok(c.k->attention_bwd(c.x, &g));
        for (size_t i = 0; i < dq.n; i += 5) /* central differences at 1e-5: error near 1e-10 */
            assert_close(buf_get(dq, i), difference_at(c.q, i, 1e-5, attention_loss, &c), 1e-8);
        for (size_t i = 0; i < dk.n; i++) {
            assert_close(buf_get(dk, i), difference_at(c.kk, i, 1e-5, attention_loss, &c), 1e-8);
            assert_close(buf_get(dv, i), difference_at(c.v, i, 1e-5, attention_loss, &c), 1e-8);
        }
    }
    buf_free_all();
}

static void a_query_that_sees_nothing_gives_zero(void **state)
{
    (void)state;
    for (int table = 0; table < 3; table++) {
        attn_case c = attn(table, 2, false);
        c.span[0].q_pos = 100;
        c.a.span = c.span;
        assert_ok(c.k->attention(c.x, &c.a));
        for (size_t i = 0; i < 5 * HEADS * D; i++) assert_close(buf_get(c.o, i), 0, 0);
        assert_true(isinf(buf_get(c.lse, 0)) && buf_get(c.lse, 0) < 0);
    }
    buf_free_all();
}

static void pages_hold_the_same_keys(void **state)
{
    (void)state;
    for (int table = 0; table < 3; table++) {
        const gt_kernels *k = ref(table);
        enum { LEN = 150, PAGE = 64 };
        size_t bytes = k->act == GT_BF16 ? 2 : k->act == GT_F32 ? 4 : 8;
        buf q = buf_random(k->act, HEADS * D, 1, 2), kk = buf_random(k->act, LEN * KV * D, 2, 2);
        buf v = buf_random(k->act, LEN * KV * D, 3, 1), one = buf_new(k->act, HEADS * D), paged = buf_copy(one);
        gt_attn_span span = {0, 1, LEN - 1, {.k = kk.p, .v = v.p, .stride = KV * D, .len = LEN}};
        gt_attn a = {HEADS, KV, D, 0, false, 0.4f, 1, &span, q.p, HEADS * D, one.p, NULL};
        gt_exec *x = exec_new(1);
        assert_ok(k->attention(x, &a));
        const void *kp[3], *vp[3];
        for (size_t i = 0; i < 3; i++) {
            kp[i] = (char *)kk.p + i * PAGE * KV * D * bytes;
            vp[i] = (char *)v.p + i * PAGE * KV * D * bytes;
        }
        span.kv = (gt_kv_view){.k_pages = kp, .v_pages = vp, .page_tokens = PAGE, .stride = KV * D, .len = LEN};
        a.o = paged.p;
        assert_ok(k->attention(x, &a));
        buf_equal(paged, one);
    }
    buf_free_all();
}

enum { ROWS = 19, HIDDEN = 6, VOCAB = 41 };

typedef struct {
    const gt_kernels *k;
    gt_exec *x;
    gt_matrix e;
    buf xf, dxf;
    int32_t target[ROWS], argmax[ROWS];
    double loss[ROWS];
    gt_head_loss h;
} head_case;

static head_case head(int table)
{
    head_case c = {.k = ref(table), .x = exec_new(2)};
    c.e = (gt_matrix){.data = buf_random(GT_BF16, VOCAB * HIDDEN, 1, 2).p, .dtype = GT_BF16, .rows = VOCAB};
    c.e.cols = HIDDEN;
    c.xf = buf_random(c.k->act, ROWS * HIDDEN, 2, 2);
    c.dxf = buf_new(GT_F32, ROWS * HIDDEN);
    for (int i = 0; i < ROWS; i++) c.target[i] = i * 7 % VOCAB;
    c.h = (gt_head_loss){.rows = ROWS, .hidden = HIDDEN, .dxf = c.dxf.p};
    c.h.xf = c.xf.p;
    c.h.buffer_bytes = c.k->head_buffer_bytes(ROWS, HIDDEN, VOCAB);
    c.h.buffer = buf_new(GT_F64, c.h.buffer_bytes / 8 + 1).p;
    return c;
}

static double head_sum(void *context)
{
    head_case *c = context;
    c->h.embed = &c->e;
    c->h.target = c->target;
    c->h.argmax = c->argmax;
    c->h.loss = c->loss;
    assert_ok(c->k->head_loss(c->x, &c->h));
    double sum = 0;
    for (int i = 0; i < ROWS; i++) sum += c->loss[i];
    return sum;
}

static void the_loss_is_the_cross_entropy_of_the_logits(void **state)
{
    (void)state;
    for (int table = 0; table < 3; table++) {
        head_case c = head(table);
        head_sum(&c);
        buf logits = buf_new(GT_F32, ROWS * VOCAB);
        assert_ok(c.k->head_logits(c.x, logits.p, c.xf.p, ROWS, HIDDEN, &c.e, c.h.buffer, c.h.buffer_bytes));
        for (int i = 0; i < ROWS; i++) {
            double z[VOCAB], sum = 0;
            int best = 0;
            for (int v = 0; v < VOCAB; v++) {
                z[v] = 0;
                for (int j = 0; j < HIDDEN; j++)
                    z[v] += buf_get(c.xf, (size_t)(i * HIDDEN + j)) *
                            gt_bf16_to_f32(((const uint16_t *)c.e.data)[v * HIDDEN + j]);
                assert_close(buf_get(logits, (size_t)(i * VOCAB + v)), z[v], 1e-6 * fabs(z[v]) + 1e-7);
                sum += exp(z[v]);
                if (z[v] > z[best]) best = v;
            }
            assert_close(c.loss[i], log(sum) - z[c.target[i]], 1e-12);
            assert_int_equal(c.argmax[i], best);
        }
    }
    buf_free_all();
}

static void the_heads_gradient_is_the_derivative(void **state)
{
    (void)state;
    head_case c = head(2);
    head_sum(&c);
    buf dxf = buf_copy(c.dxf);
    for (size_t i = 0; i < dxf.n; i++) /* dxf is float32: 6e-8 of values up to 4 */
        assert_close(buf_get(dxf, i), difference_at(c.xf, i, 1e-5, head_sum, &c), 5e-7);
    buf_free_all();
}

static void wrong_targets_and_small_buffers_are_refused(void **state)
{
    (void)state;
    head_case c = head(0);
    head_sum(&c);
    c.target[3] = VOCAB;
    assert_fails(c.k->head_loss(c.x, &c.h), GT_ERR_ARG, "target");
    c.target[3] = -1;
    assert_fails(c.k->head_loss(c.x, &c.h), GT_ERR_ARG, "id -1");
    c.target[3] = 0;
    c.h.buffer_bytes--;
    assert_fails(c.k->head_loss(c.x, &c.h), GT_ERR_ARG, "buffer");
    attn_case a = attn(0, 0, false);
    a.a.span = a.span;
    a.a.kv_heads = 3;
    assert_fails(a.k->attention(a.x, &a.a), GT_ERR_ARG, "multiple");
    buf_free_all();
}

int main(void)
{
    const struct CMUnitTest reference[] = {
        cmocka_unit_test(a_product_is_the_sum_of_products),
        cmocka_unit_test(a_product_in_a_third_dtype_is_refused),
        cmocka_unit_test(the_keys_a_query_sees_are_counted_by_hand),
        cmocka_unit_test(attention_is_the_softmax_of_what_is_seen),
        cmocka_unit_test(attention_backward_is_the_derivative),
        cmocka_unit_test(a_query_that_sees_nothing_gives_zero),
        cmocka_unit_test(pages_hold_the_same_keys),
        cmocka_unit_test(the_loss_is_the_cross_entropy_of_the_logits),
        cmocka_unit_test(the_heads_gradient_is_the_derivative),
        cmocka_unit_test(wrong_targets_and_small_buffers_are_refused),
    };
    return cmocka_run_group_tests(reference, NULL, NULL);
}
