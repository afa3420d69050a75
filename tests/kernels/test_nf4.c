/* NF4 against bitsandbytes' CPU quantizer: codes and scales byte for byte, dequantized values bit for bit. */
#include "testing.h"

#include "golden_tensor.h"
#include "nf4.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *name_of(char *buffer, const char *dtype, int shape, const char *rest)
{
    snprintf(buffer, 128, "%d.%s.%s", shape, dtype, rest);
    return buffer;
}

/* Golden tensors lie at any offset: copied out, aligned. */
static void *copy_of(const golden_file *f, const char *dtype, int shape, const char *rest, size_t *bytes)
{
    char name[128];
    golden_tensor t = golden_get(f, name_of(name, dtype, shape, rest));
    void *copy = malloc(t.bytes);
    memcpy(copy, t.data, t.bytes);
    *bytes = t.bytes;
    return copy;
}

static float *widened(const void *data, size_t bytes, bool bf16, size_t *n)
{
    *n = bytes / (bf16 ? 2 : 4);
    float *x = malloc(*n * sizeof *x);
    for (size_t i = 0; i < *n; i++) {
        if (bf16)
            x[i] = gt_bf16_to_f32(((const uint16_t *)data)[i]);
        else
            x[i] = ((const float *)data)[i];
    }
    return x;
}

static void assert_dequantizes_to(const gt_matrix *m, const float *want, size_t n)
{
    float *got = malloc(n * sizeof *got);
    gt_nf4_dequantize(got, m, 0, n);
    for (size_t i = 0; i < n; i++) /* values, not bits: -0 and 0 both stand for an all-zero block */
        if (got[i] != want[i]) fail_msg("element %zu: %a, expected %a", i, (double)got[i], (double)want[i]);
    if (n > 70) { /* a run that starts and ends inside blocks gives the same values */
        gt_nf4_dequantize(got, m, 3, n - 6);
        for (size_t i = 0; i < n - 6; i++) assert_true(got[i] == want[i + 3]);
    }
    free(got);
}

static void one_shape(const golden_file *f, const char *dtype, int shape)
{
    const bool bf16 = dtype[0] == 'b';
    size_t bytes, n, want_bytes;
    void *raw = copy_of(f, dtype, shape, "w", &bytes);
    float *w = widened(raw, bytes, bf16, &n);
    const size_t nb = gt_nf4_blocks(n, GT_NF4_BLOCK), nb2 = gt_nf4_blocks(nb, GT_NF4_BLOCK2);
    uint8_t *codes = malloc((n + 1) / 2), *absmax8 = malloc(nb);
    float *absmax = malloc(nb * sizeof *absmax), *absmax2 = malloc(nb2 * sizeof *absmax2), code2[256];
    gt_nf4_code2(code2);

    assert_true(gt_nf4_quantize(codes, absmax, w, n));
    uint8_t *want = copy_of(f, dtype, shape, "nf4.plain.codes", &want_bytes);
    assert_int_equal(want_bytes, (n + 1) / 2);
    assert_memory_equal(codes, want, want_bytes);
    float *want_absmax = copy_of(f, dtype, shape, "nf4.plain.absmax", &want_bytes);
    assert_int_equal(want_bytes, nb * sizeof *absmax);
    assert_memory_equal(absmax, want_absmax, want_bytes);
    float *want_map = copy_of(f, dtype, shape, "nf4.plain.quant_map", &want_bytes);
    assert_memory_equal(gt_nf4_code, want_map, 16 * sizeof(float));

    float *offset = copy_of(f, dtype, shape, "nf4.nested.offset", &want_bytes);
    /* The reference sums in float, in an order of its own: 2 ulp. */
    assert_true(fabsf(gt_nf4_offset(absmax, nb) - *offset) <= 2 * (nextafterf(*offset, INFINITY) - *offset));
    gt_nf4_nest(absmax8, absmax2, absmax, nb, *offset, code2);
    uint8_t *want_absmax8 = copy_of(f, dtype, shape, "nf4.nested.absmax", &want_bytes);
    assert_memory_equal(absmax8, want_absmax8, nb);
    float *want_absmax2 = copy_of(f, dtype, shape, "nf4.nested.nested_absmax", &want_bytes);
    assert_memory_equal(absmax2, want_absmax2, nb2 * sizeof *absmax2);
    float *want_map2 = copy_of(f, dtype, shape, "nf4.nested.nested_quant_map", &want_bytes);
    assert_memory_equal(code2, want_map2, sizeof code2);

    gt_matrix m = {.data = codes,
                   .dtype = GT_NF4,
                   .rows = 1,
                   .cols = (int)n,
                   .block = GT_NF4_BLOCK,
                   .code = gt_nf4_code,
                   .absmax = absmax,
                   .round_to = bf16 ? GT_BF16 : GT_F32};
    void *dequant = copy_of(f, dtype, shape, "nf4.plain.dequant", &want_bytes);
    float *values = widened(dequant, want_bytes, bf16, &n);
    assert_dequantizes_to(&m, values, n);
    m.absmax = NULL;
    m.absmax8 = absmax8;
    m.absmax2 = absmax2;
    m.code2 = code2;
    m.block2 = GT_NF4_BLOCK2;
    m.offset = *offset;
    void *dequant2 = copy_of(f, dtype, shape, "nf4.nested.dequant", &want_bytes);
    float *values2 = widened(dequant2, want_bytes, bf16, &n);
    assert_dequantizes_to(&m, values2, n);

    void *all[] = {raw,    w,         codes,        absmax8,      absmax,  absmax2, want,     want_absmax, want_map,
                   offset, want_map2, want_absmax8, want_absmax2, dequant, values,  dequant2, values2};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void quantizes_as_the_reference_byte_for_byte(void **state)
{
    (void)state;
    golden_file f = golden_open(golden("nf4.safetensors"));
    for (int shape = 0; shape < 5; shape++) {
        one_shape(&f, "f32", shape);
        one_shape(&f, "bf16", shape);
    }
    golden_close(&f);
}

/* docs/model/quant.md section 8 */
static void gives_the_conformance_vectors(void **state)
{
    (void)state;
    float w[64], absmax, code2[256], a[256], absmax2;
    uint8_t codes[32], absmax8[256];
    for (int i = 0; i < 64; i++) w[i] = (float)(2 * i - 63) / 64.0f;
    assert_true(gt_nf4_quantize(codes, &absmax, w, 64));
    assert_true(absmax == 0.984375f);
    static const char want[] = "00000111111112222233344445556667788899aaabbbccccddddeeeeeeefffff";
    char hex[65];
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", codes[i]);
    assert_string_equal(hex, want);

    for (int j = 0; j < 256; j++) a[j] = 0.5f + (float)j / 512.0f;
    const float offset = gt_nf4_offset(a, 256);
    assert_true(offset == 767.0f / 1024.0f);
    gt_nf4_code2(code2);
    gt_nf4_nest(absmax8, &absmax2, a, 256, offset, code2);
    assert_true(absmax2 == 255.0f / 1024.0f);
    static const uint8_t first[16] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 7, 8};
    static const uint8_t middle[3] = {106, 148, 159}, last[8] = {251, 251, 252, 252, 253, 253, 254, 255};
    assert_memory_equal(absmax8, first, sizeof first);
    assert_memory_equal(absmax8 + 127, middle, sizeof middle);
    assert_memory_equal(absmax8 + 248, last, sizeof last);
}

static void a_short_last_block_divides_and_pads_with_zero(void **state)
{
    (void)state;
    /* As the reference: a block that is not whole is scaled by division, its scale is stored clamped, and an odd
     * count is padded with the code of zero. */
    float w[65], absmax[2];
    uint8_t codes[33];
    for (int i = 0; i < 64; i++) w[i] = 1.0f;
    w[64] = -0.5f;
    assert_true(gt_nf4_quantize(codes, absmax, w, 65));
    assert_true(absmax[1] == 0.5f);
    assert_int_equal(codes[32], 0x07);
    w[64] = 0.0f;
    assert_true(gt_nf4_quantize(codes, absmax, w, 65));
    assert_true(absmax[1] == 1e-38f);
    assert_int_equal(codes[32], 0x77);
}

static void an_all_zero_block_is_zero(void **state)
{
    (void)state;
    float w[64] = {0}, absmax = 1.0f;
    uint8_t codes[32];
    assert_true(gt_nf4_quantize(codes, &absmax, w, 64));
    assert_true(absmax == 0.0f);
    for (int i = 0; i < 32; i++) assert_int_equal(codes[i], 0x77);
    assert_true(gt_nf4_quantize(codes, &absmax, w, 0));
}

static void values_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    static const float bad[] = {INFINITY, -INFINITY, NAN};
    for (int i = 0; i < 3; i++) {
        float w[130] = {0}, absmax[3];
        uint8_t codes[65];
        w[129] = bad[i];
        assert_false(gt_nf4_quantize(codes, absmax, w, 130));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantizes_as_the_reference_byte_for_byte),
        cmocka_unit_test(gives_the_conformance_vectors),
        cmocka_unit_test(a_short_last_block_divides_and_pads_with_zero),
        cmocka_unit_test(an_all_zero_block_is_zero),
        cmocka_unit_test(values_that_are_not_finite_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
