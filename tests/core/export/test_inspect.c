/* What inspect says of each kind of file: people read these lines, so the figures in them are looked for as text. */
#include "inspect.h"

#include "fs.h"
#include "gtq.h"
#include "real_model.h"
#include "testing.h"

#include <stdlib.h>
#include <string.h>

static void says(const char *path, gt_inspect_kind kind, const char *const *words)
{
    gt_text t = {0};
    assert_int_equal(gt_inspect_what(path), kind);
    assert_ok(gt_inspect(&t, kind, path));
    assert_false(t.failed);
    for (; *words; words++)
        if (!strstr(t.data, *words)) fail_msg("'%s' is not in:\n%s", *words, t.data);
    gt_text_free(&t);
}

static void a_base_is_described(void **state)
{
    (void)state;
    says(golden("tiny/gqa_scaled"), GT_INSPECT_BASE,
         (const char *const[]){"Hugging Face folder", "6: hidden 96", "6 heads of 16 over 3", "window 16",
                               "positions / 8", "full attention in layers 5", "[640, 96] BF16", "tokenizer    none",
                               NULL});
    says(golden("tiny/wide_head/layout_bnb_nf4_nested"), GT_INSPECT_BASE,
         (const char *const[]){"NF4 (block 64, nested, BF16)", "scale 168^-0.5", NULL});
    says(golden("tiny/mqa_short/layout_multimodal_new"), GT_INSPECT_BASE, (const char *const[]){"multimodal", NULL});
}

static void a_packed_base_says_how_it_was_made(void **state)
{
    (void)state;
    char *path = gt_fs_join(temp_dir(), "t.gtq");
    gt_weights *w = NULL;
    assert_ok(gt_weights_open(&w, golden("tiny/wide_head")));
    assert_ok(gt_gtq_write(path, w, &(gt_gtq_options){.double_quant = true}, NULL, NULL));
    gt_weights_close(w);
    says(path, GT_INSPECT_BASE,
         (const char *const[]){"packed file", "wide_head (huggingface)", "block 64, scales quantized again, block 256",
                               "NF4 (block 64, nested", "identity     ", NULL});
    free(path);
}

static void the_real_gguf_is_described(void **state)
{
    (void)state;
    says(
        real_270m(), GT_INSPECT_BASE,
        (const char *const[]){"GGUF file", "268098176", "[262144, 640] Q8_0", "layers 5 11 17", "262145 pieces", NULL});
}

static void an_adapter_is_described(void **state)
{
    (void)state;
    says(golden("tiny/gqa_scaled/adapter_all_final"), GT_INSPECT_ADAPTER,
         (const char *const[]){"rank         3, alpha 6, rank-stabilized", "q_proj", "84 of 42 modules, F32", NULL});
    gt_text t = {0};
    assert_int_equal(gt_inspect(&t, GT_INSPECT_ADAPTER, golden("tiny/gqa_scaled")), GT_ERR_IO);
    gt_text_free(&t);
}

static void a_tensor_file_is_described(void **state)
{
    (void)state;
    says(golden("tiny/gqa_scaled/model.safetensors"), GT_INSPECT_TENSORS,
         (const char *const[]){"model.layers.5.mlp.down_proj.weight", "BF16  [96, 256]", "48.0 KiB", NULL});
}

static void what_is_none_of_these_is_said_to_be_other(void **state)
{
    (void)state;
    gt_text t = {0};
    assert_int_equal(gt_inspect_what(golden("README.md")), GT_INSPECT_OTHER);
    assert_int_equal(gt_inspect_what(golden("chat")), GT_INSPECT_OTHER);
    assert_int_equal(gt_inspect_what("/nowhere"), GT_INSPECT_OTHER);
    assert_int_equal(gt_inspect_what("someone/model"), GT_INSPECT_BASE);
    assert_fails(gt_inspect(&t, GT_INSPECT_OTHER, golden("chat")), GT_ERR_ARG, "chat");
    gt_text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_base_is_described),        cmocka_unit_test(a_packed_base_says_how_it_was_made),
        cmocka_unit_test(the_real_gguf_is_described), cmocka_unit_test(an_adapter_is_described),
        cmocka_unit_test(a_tensor_file_is_described), cmocka_unit_test(what_is_none_of_these_is_said_to_be_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
