/* Quantizing to a folder: byte for byte what bitsandbytes and transformers serialized. */
#include "testing.h"

#include "fs.h"
#include "golden_tensor.h"
#include "gtq.h"
#include "quantize.h"
#include "safetensors.h"
#include "tensor_set.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every tensor of the golden folder is in ours, byte for byte, and no other. The nested offset is a sum in the
 * reference's own order: where it differs (by at most 2 ulp), what depends on it is compared by value. */
static void folder_equals_golden(const char *golden_name, bool double_quant)
{
    const char *want_folder = golden(golden_name), *out = path_in(temp_dir(), "bnb");
    const gt_quantize_options o = {golden("tiny/wide_head"), out, true, double_quant, false};
    assert_ok(gt_quantize(&o, NULL, NULL, NULL));
    gt_safetensors *want = NULL, *got = NULL;
    assert_ok(gt_safetensors_open(&want, path_in(want_folder, "model.safetensors")));
    assert_ok(gt_safetensors_open(&got, path_in(out, "model.safetensors")));
    assert_int_equal(gt_safetensors_count(want), gt_safetensors_count(got));
    size_t equal = 0, offsets_differ = 0;
    for (size_t i = 0; i < gt_safetensors_count(want); i++) {
        const gt_safetensor *a = gt_safetensors_at(want, i), *b = gt_safetensors_find(got, a->name);
        if (!b) fail_msg("%s is missing", a->name);
        assert_string_equal(gt_safetensors_at(got, i)->name, a->name); /* the library's order */
        assert_int_equal(a->dtype, b->dtype);
        assert_int_equal(a->rank, b->rank);
        if (a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0) {
            equal++;
            continue;
        }
        const bool nested_part = gt_ends_with(a->name, ".nested_absmax") || gt_ends_with(a->name, ".absmax");
        if (gt_ends_with(a->name, ".quant_state.bitsandbytes__nf4")) {
            offsets_differ++;
            double x = 0, y = 0;
            char text[2][400] = {{0}};
            memcpy(text[0], a->data, a->bytes < 399 ? a->bytes : 399);
            memcpy(text[1], b->data, b->bytes < 399 ? b->bytes : 399);
            x = atof(strstr(text[0], "nested_offset\": ") + 16);
            y = atof(strstr(text[1], "nested_offset\": ") + 16);
            assert_true(fabs(x - y) <= 2 * (double)(nextafterf((float)x, INFINITY) - (float)x));
        } else if (!double_quant || !nested_part) {
            fail_msg("%s differs", a->name);
        }
    }
    assert_true(equal > gt_safetensors_count(want) / 2);
    if (!double_quant) assert_int_equal(equal, gt_safetensors_count(want));
    print_message("%s: %zu of %zu tensors byte-equal, %zu offsets differ\n", golden_name, equal,
                  gt_safetensors_count(want), offsets_differ);
    gt_safetensors_close(want);
    gt_safetensors_close(got);
    assert_fails(gt_quantize(&o, NULL, NULL, NULL), GT_ERR_CONFIG, "not empty");
}

static void the_folder_is_what_bitsandbytes_writes(void **state)
{
    (void)state;
    folder_equals_golden("tiny/wide_head/layout_bnb_nf4", false);
    folder_equals_golden("tiny/wide_head/layout_bnb_nf4_nested", true);
}

/* From a bitsandbytes folder through .gtq and out again: the same file, offset and all. */
static void a_stored_base_passes_through_unchanged(void **state)
{
    (void)state;
    const char *source = golden("tiny/wide_head/layout_bnb_nf4_nested"), *dir = temp_dir();
    const char *gtq = path_in(dir, "x.gtq"), *out = path_in(dir, "bnb");
    const gt_quantize_options pack = {source, gtq, false, true, false}, unpack = {gtq, out, true, true, false};
    gt_text report = {0};
    assert_ok(gt_quantize(&pack, NULL, NULL, &report));
    assert_non_null(strstr(report.data, "rule stored, with double quantization"));
    gt_text_free(&report);
    assert_ok(gt_quantize(&unpack, NULL, NULL, NULL));
    golden_file a = golden_open(path_in(source, "model.safetensors")),
                b = golden_open(path_in(out, "model.safetensors"));
    assert_int_equal(a.size - a.header, b.size - b.header);
    assert_memory_equal(a.bytes + 8 + a.header, b.bytes + 8 + b.header, a.size - 8 - a.header);
    golden_close(&a);
    golden_close(&b);
    /* and it opens as the same base */
    gt_weights *x = NULL, *y = NULL;
    char id[2][65];
    assert_ok(gt_weights_open(&x, source));
    assert_ok(gt_weights_open(&y, out));
    assert_ok(gt_weights_identity(x, id[0]));
    assert_ok(gt_weights_identity(y, id[1]));
    assert_string_equal(id[0], id[1]);
    gt_weights_close(x);
    gt_weights_close(y);
}

int main(void)
{
    setenv("GEMTUNE_CACHE", temp_dir(), 1); /* where a folder's base is packed */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_folder_is_what_bitsandbytes_writes),
        cmocka_unit_test(a_stored_base_passes_through_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
