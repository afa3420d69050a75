/* Conversions over all 65,536 values of the 16-bit formats, so there is no sample to choose badly. */
#include "testing.h"

#include "dtype.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void every_bf16_survives_the_way_through_float(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = gt_bf16_to_f32((uint16_t)h);
        if (isnan(f))
            assert_true(isnan(gt_bf16_to_f32(gt_f32_to_bf16(f))));
        else
            assert_int_equal(gt_f32_to_bf16(f), h);
    }
}

static void every_f16_survives_the_way_through_float(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = gt_f16_to_f32((uint16_t)h);
        if (isnan(f))
            assert_true(isnan(gt_f16_to_f32(gt_f32_to_f16(f))));
        else
            assert_int_equal(gt_f32_to_f16(f), h);
    }
    assert_true(gt_f16_to_f32(0x3c00) == 1.0f);
    assert_true(gt_f16_to_f32(0x7bff) == 65504.0f);
    assert_true(gt_f16_to_f32(0x0001) == 0x1p-24f);
    assert_true(gt_f16_to_f32(0xc000) == -2.0f);
}

/* Between neighbours lo and hi the middle goes to the even one, and a hair from it to the nearer. */
static void f16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        float lo = gt_f16_to_f32((uint16_t)h), hi = gt_f16_to_f32((uint16_t)(h + 1)), middle = (lo + hi) / 2;
        assert_int_equal(gt_f32_to_f16(middle), h + (h & 1));
        assert_int_equal(gt_f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(gt_f32_to_f16(nextafterf(middle, 1e9f)), h + 1);
        assert_int_equal(gt_f32_to_f16(-middle), 0x8000u | (h + (h & 1)));
    }
    assert_int_equal(gt_f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(gt_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(gt_f32_to_f16(FLT_MAX), 0x7c00);
    assert_int_equal(gt_f32_to_f16(FLT_TRUE_MIN), 0);
}

static void bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7f7f; h += 3) {
        float lo = gt_bf16_to_f32((uint16_t)h), hi = gt_bf16_to_f32((uint16_t)(h + 1)), middle = lo + (hi - lo) / 2;
        assert_int_equal(gt_f32_to_bf16(middle), h + (h & 1));
        assert_int_equal(gt_f32_to_bf16(nextafterf(middle, -1)), h);
        assert_int_equal(gt_f32_to_bf16(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(gt_f32_to_bf16(FLT_MAX), 0x7f80);
    assert_int_equal(gt_f32_to_bf16(INFINITY), 0x7f80);
    assert_true(isnan(gt_bf16_to_f32(gt_f32_to_bf16(NAN))));
}

/* Through float, a value just above the middle would first fall onto the middle and then to the even side. */
static void double_to_bf16_rounds_once(void **state)
{
    (void)state;
    for (uint32_t h = 0x3c00; h < 0x4500; h++) {
        double lo = gt_bf16_to_f32((uint16_t)h), hi = gt_bf16_to_f32((uint16_t)(h + 1)), middle = (lo + hi) / 2;
        assert_int_equal(gt_f64_to_bf16(middle), h + (h & 1));
        assert_int_equal(gt_f64_to_bf16(nextafter(middle, 0)), h);
        assert_int_equal(gt_f64_to_bf16(nextafter(middle, 1e9)), h + 1);
        assert_int_equal(gt_f64_to_bf16(-nextafter(middle, 1e9)), 0x8000u | (h + 1));
        assert_int_equal(gt_f64_to_bf16(-nextafter(middle, 0)), 0x8000u | h);
    }
    assert_int_equal(gt_f64_to_bf16(0.0), 0);
    assert_int_equal(gt_f64_to_bf16(1e300), 0x7f80);
    assert_int_equal(gt_f64_to_bf16(-1e300), 0xff80);
    assert_int_equal(gt_f64_to_bf16(1e-300), 0);
    assert_true(isnan(gt_bf16_to_f32(gt_f64_to_bf16(NAN))));
}

static void block_sizes_are_those_of_the_formats(void **state)
{
    (void)state;
    static const struct {
        gt_dtype type;
        int elements, bytes;
        const char *name;
    } want[] = {{GT_F32, 1, 4, "F32"},       {GT_BF16, 1, 2, "BF16"},    {GT_NF4, 2, 1, "NF4"},
                {GT_Q5_0, 32, 22, "Q5_0"},   {GT_Q8_0, 32, 34, "Q8_0"},  {GT_Q4_K, 256, 144, "Q4_K"},
                {GT_Q6_K, 256, 210, "Q6_K"}, {(gt_dtype)999, 0, 0, "?"}, {(gt_dtype)-1, 0, 0, "?"}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_int_equal(gt_dtype_block_elements(want[i].type), want[i].elements);
        assert_int_equal(gt_dtype_block_bytes(want[i].type), want[i].bytes);
        assert_string_equal(gt_dtype_name(want[i].type), want[i].name);
    }
}

static void weights_are_stored_in_floats_and_blocks_and_nothing_else(void **state)
{
    (void)state;
    for (int t = -1; t < 64; t++) {
        const bool wide = t == GT_F32 || t == GT_F16 || t == GT_BF16 || t == GT_F64;
        const bool blocks = t == GT_NF4 || t == GT_FP4 || (t >= GT_Q4_0 && t <= GT_Q6_K);
        if (gt_dtype_is_weight((gt_dtype)t) != (wide || blocks)) fail_msg("dtype %d", t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bf16_survives_the_way_through_float),
        cmocka_unit_test(every_f16_survives_the_way_through_float),
        cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(double_to_bf16_rounds_once),
        cmocka_unit_test(block_sizes_are_those_of_the_formats),
        cmocka_unit_test(weights_are_stored_in_floats_and_blocks_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
