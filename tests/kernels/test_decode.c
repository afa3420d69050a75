/* Every storage format to act, and the embedding that reads through it. */
#include "testing.h"

#include "kernel_case.h"

#include "cpu_kernels.h"
#include "nf4.h"
#include "rng.h"

#include <string.h>

/* A matrix of random content in any format, every field the format needs filled. The storage is freed by buf_free_all.
 */
static gt_matrix random_matrix(gt_dtype t, int rows, int cols, int block, bool nested, uint64_t seed)
{
    gt_matrix m = {.dtype = t, .rows = rows, .cols = cols, .block = block, .block2 = 256};
    size_t n = (size_t)rows * (size_t)cols, in_block = (size_t)gt_dtype_block_elements(t);
    size_t block_bytes = (size_t)gt_dtype_block_bytes(t), blocks = (n + in_block - 1) / in_block;
    if (t == GT_F32 || t == GT_F16 || t == GT_BF16 || t == GT_F64) {
        m.data = buf_random(t, n, seed, 2).p;
        return m;
    }
    uint8_t *bytes = buf_new(GT_F32, (blocks * block_bytes + 3) / 4).p;
    for (size_t i = 0; i < blocks * block_bytes; i++) bytes[i] = (uint8_t)gt_rng_u64(seed, i);
    m.data = bytes;
    if (t == GT_NF4 || t == GT_FP4) {
        size_t nb = gt_nf4_blocks(n, (size_t)block);
        m.code = gt_nf4_code;
        if (!nested) {
            m.absmax = buf_random(GT_F32, nb, seed + 1, 3).p;
            return m;
        }
        buf code2 = buf_new(GT_F32, 256), codes = buf_new(GT_F32, nb / 4 + 1);
        gt_nf4_code2(code2.p);
        for (size_t i = 0; i < nb; i++) ((uint8_t *)codes.p)[i] = (uint8_t)gt_rng_u64(seed + 2, i);
        m.code2 = code2.p;
        m.absmax8 = codes.p;
        m.absmax2 = buf_random(GT_F32, nb / 256 + 1, seed + 3, 1).p;
        m.offset = 0.123f;
        return m;
    }
    for (size_t b = 0; b < blocks; b++) { /* the half-float scales become ordinary numbers */
        uint8_t *at = bytes + b * block_bytes;
        size_t d = t == GT_Q6_K ? 208 : 0, count = t == GT_Q4_0 || t == GT_Q5_0 || t == GT_Q8_0 || t == GT_Q6_K ? 1 : 2;
        for (size_t i = 0; i < count; i++) {
            uint16_t h = gt_f32_to_f16((float)(2 * gt_rng_uniform(seed + 4, 2 * b + i) - 1));
            memcpy(at + d + 2 * i, &h, 2);
        }
    }
    return m;
}

static const gt_dtype formats[] = {GT_F32,  GT_F16,  GT_BF16, GT_F64,  GT_NF4,  GT_FP4,  GT_Q4_0,
                                   GT_Q4_1, GT_Q5_0, GT_Q5_1, GT_Q8_0, GT_Q4_K, GT_Q5_K, GT_Q6_K};
enum { FORMATS = sizeof formats / sizeof *formats };

/* Both tables do the same float32 arithmetic and round it the same way: no tolerance. */
static void expect_equal_to_the_reference(gt_exec *x, const gt_matrix *m, int row0, int nrows)
{
    for (int table = 0; table < FAST_TABLES; table++) {
        const gt_kernels *ref, *k = fast_table(table, &ref);
        size_t n = (size_t)nrows * (size_t)m->cols;
        buf got = buf_new(k->act, n), want = buf_new(k->act, n);
        assert_ok(k->decode(x, got.p, m, row0, nrows));
        assert_ok(ref->decode(x, want.p, m, row0, nrows));
        for (size_t i = 0; i < n; i++)
            if (buf_get(got, i) != buf_get(want, i))
                fail_msg("%s rounded to %s as %s: element %zu is %.9g, expected %.9g", gt_dtype_name(m->dtype),
                         gt_dtype_name(m->round_to), gt_dtype_name(k->act), i, buf_get(got, i), buf_get(want, i));
    }
}

static void every_format_decodes_as_the_reference_does(void **state)
{
    (void)state;
    static const int shape[][2] = {{0, 256}, {1, 256}, {5, 512}, {3, 2048}, {2, 5376}};
    static const gt_dtype round_to[] = {GT_F32, GT_BF16, GT_F16};
    for (int f = 0; f < FORMATS; f++) {
        gt_exec *x = exec_new(2);
        for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
            for (int r = 0; r < 3; r++) {
                gt_matrix m = random_matrix(formats[f], shape[s][0], shape[s][1], 64, r == 1, 7 + s);
                m.round_to = round_to[r];
                expect_equal_to_the_reference(x, &m, 0, m.rows);
                if (m.rows > 2) expect_equal_to_the_reference(x, &m, 1, m.rows - 2);
            }
        buf_free_all();
    }
}

static void four_bit_blocks_may_straddle_rows_and_begin_in_half_a_byte(void **state)
{
    (void)state;
    static const int shape[][2] = {{1, 1}, {7, 33}, {33, 192}, {48, 80}, {5, 127}, {3, 4100}};
    static const int blocks[] = {32, 64, 128, 4096};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
        for (size_t b = 0; b < 4; b++)
            for (int nested = 0; nested < 2; nested++) {
                gt_exec *x = exec_new(2);
                gt_matrix m = random_matrix(GT_NF4, shape[s][0], shape[s][1], blocks[b], nested, 3);
                m.round_to = GT_BF16;
                expect_equal_to_the_reference(x, &m, 0, m.rows);
                for (int row = 1; row < m.rows; row += 2) expect_equal_to_the_reference(x, &m, row, 1);
                buf_free_all();
            }
}

static void spans_are_the_same_elements(void **state)
{
    (void)state;
    for (int f = 0; f < FORMATS; f++) {
        gt_matrix m = random_matrix(formats[f], 6, 512, 64, true, 5);
        m.round_to = GT_BF16;
        double want[512];
        float got[512];
        uint16_t word[512];
        gt_decode_exact(want, &m, 768, 512);
        gt_decode_span_cpu_f32(got, &m, 768, 512);
        gt_decode_span_cpu_bf16(word, &m, 768, 512);
        for (int i = 0; i < 512; i++) {
            assert_close(got[i], want[i], 0);
            assert_close(gt_bf16_to_f32(word[i]), want[i], 0);
        }
        buf_free_all();
    }
}

static void known_blocks_have_the_values_of_the_definition(void **state)
{
    (void)state;
    /* Q5_0 by hand: d = 0.5; element 0 has low nibble 3 and its fifth bit, element 16 high nibble 9 without. */
    uint8_t q5[22] = {0x00, 0x38, 0x01, 0, 0, 0, 0x93};
    gt_matrix m = {.data = q5, .dtype = GT_Q5_0, .rows = 1, .cols = 32};
    float v[32];
    gt_decode_span_cpu_f32(v, &m, 0, 32);
    assert_close(v[0], 0.5 * (19 - 16), 0);
    assert_close(v[16], 0.5 * (9 - 16), 0);
    /* NF4 with absmax 0.984375 of docs/model/quant.md section 8: its first bytes and values */
    static const uint8_t codes[32] = {0x00, 0x00, 0x01, 0x11};
    static const float absmax[1] = {0.984375f};
    gt_matrix n = {.data = codes, .dtype = GT_NF4, .rows = 1, .cols = 64, .block = 64, .code = gt_nf4_code};
    n.absmax = absmax;
    n.round_to = GT_BF16;
    uint16_t word[64];
    gt_decode_span_cpu_bf16(word, &n, 0, 64);
    for (int i = 0; i < 8; i++) assert_int_equal(word[i], i < 5 ? 0xbf7c : 0xbf2f);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    gt_matrix m = random_matrix(GT_NF4, 300, 640, 64, true, 5);
    m.round_to = GT_BF16;
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        buf one = buf_new(k->act, 300 * 640), four = buf_new(k->act, 300 * 640);
        assert_ok(k->decode(exec_new(1), one.p, &m, 0, 300));
        assert_ok(k->decode(exec_new(4), four.p, &m, 0, 300));
        buf_equal(four, one);
    }
    buf_free_all();
}

static void embedding_scales_the_rounded_row(void **state)
{
    (void)state;
    static const int32_t ids[] = {0, 3, 99, 3, 50};
    for (int f = 0; f < FORMATS; f++) {
        gt_exec *x = exec_new(2);
        gt_matrix e = random_matrix(formats[f], 100, 768, 64, true, 5);
        for (int table = 0; table < FAST_TABLES; table++) {
            const gt_kernels *ref, *k = fast_table(table, &ref);
            for (int n = 0; n <= 5; n += 5) {
                buf got = buf_new(k->act, (size_t)n * 768), want = buf_new(k->act, (size_t)n * 768);
                assert_ok(k->embed(x, got.p, &e, ids, n, 27.75f));
                assert_ok(ref->embed(x, want.p, &e, ids, n, 27.75f));
                buf_close(got, want, 0, 0); /* one product of two rounded factors has one rounding */
            }
        }
        buf_free_all();
    }
}

static void bad_input_is_refused_by_name(void **state)
{
    (void)state;
    gt_exec *x = exec_new(1);
    static const int32_t ids[] = {0, 4, -1};
    gt_matrix e = random_matrix(GT_BF16, 4, 32, 64, false, 1);
    for (int table = 0; table < TABLES; table++) {
        const gt_kernels *k = table_under_test(table);
        buf out = buf_new(k->act, 4 * 32);
        assert_fails(k->embed(x, out.p, &e, ids, 2, 1), GT_ERR_ARG, "id 4");
        assert_fails(k->embed(x, out.p, &e, ids + 2, 1, 1), GT_ERR_ARG, "id -1");
        assert_fails(k->decode(x, out.p, &e, 3, 2), GT_ERR_ARG, "rows 3 to 5");
        assert_fails(k->decode(x, out.p, &e, -1, 1), GT_ERR_ARG, "rows -1");
        gt_matrix m = e;
        m.dtype = GT_Q5_0;
        m.cols = 40;
        assert_fails(k->decode(x, out.p, &m, 0, 1), GT_ERR_ARG, "multiple of 32");
        m.dtype = GT_I32;
        assert_fails(k->decode(x, out.p, &m, 0, 1), GT_ERR_ARG, "I32");
        m = random_matrix(GT_NF4, 1, 64, 64, true, 1);
        m.block = 48;
        assert_fails(k->decode(x, out.p, &m, 0, 1), GT_ERR_ARG, "48");
        m.block = 64;
        m.code2 = NULL;
        assert_fails(k->decode(x, out.p, &m, 0, 1), GT_ERR_ARG, "scales");
    }
    buf_free_all();
}

int main(void)
{
    const struct CMUnitTest decode[] = {
        cmocka_unit_test(every_format_decodes_as_the_reference_does),
        cmocka_unit_test(four_bit_blocks_may_straddle_rows_and_begin_in_half_a_byte),
        cmocka_unit_test(spans_are_the_same_elements),
        cmocka_unit_test(known_blocks_have_the_values_of_the_definition),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(embedding_scales_the_rounded_row),
        cmocka_unit_test(bad_input_is_refused_by_name),
    };
    return run_on_every_path(decode);
}
