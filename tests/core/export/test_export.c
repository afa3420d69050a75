/* Exports: plain folders that open as the same function, merged weights against float64, adapters as they were. */
#include "testing.h"

#include "adapter.h"
#include "decode.h"
#include "export.h"
#include "fs.h"
#include "gtq.h"
#include "merge.h"
#include "quantize.h"
#include "safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *values_of(const gt_matrix *m)
{
    const size_t n = (size_t)m->rows * (size_t)m->cols;
    double *v = malloc(n * sizeof *v);
    gt_decode_exact(v, m, 0, n);
    return v;
}

/* Every matrix of `got` is the bf16 of the one in `base` plus, where there is an adapter, scaling * B A; the product is
 * computed in double here and in float there, so a value may fall on the other side of a rounding: 1 bf16 ulp. */
static void assert_merged(const gt_weights *got, const gt_weights *base, const gt_adapter *a)
{
    size_t at = 0, off = 0, all = 0;
    for (int i = 0; i < gt_slot_count(&base->config); i++) {
        const gt_matrix *g = gt_weights_slot(got, i), *b = gt_weights_slot(base, i);
        assert_int_equal(g->dtype, GT_BF16);
        double *w = values_of(b), *x = values_of(g);
        const int r = a ? a->targets.rank[i] : 0;
        const size_t rows = (size_t)b->rows, cols = (size_t)b->cols;
        for (size_t o = 0; o < rows; o++) {
            for (size_t c = 0; c < cols; c++) {
                double sum = 0;
                for (int k = 0; k < r; k++)
                    sum += (double)a->param[at + (size_t)r * cols + o * (size_t)r + (size_t)k] *
                           (double)a->param[at + (size_t)k * cols + c];
                const double want = w[o * cols + c] + sum * (r ? (double)a->targets.scaling[i] : 0);
                const double rounded = (double)gt_bf16_to_f32(gt_f64_to_bf16(want));
                all++;
                if (x[o * cols + c] == rounded) continue;
                off++;
                assert_true(fabs(x[o * cols + c] - want) <= fabs(want) / 250 + 1e-7);
            }
        }
        at += (size_t)r * (rows + cols);
        free(w);
        free(x);
    }
    assert_true(off * 1000 <= all); /* ties of the last bit only */
    double *e = values_of(&base->embed), *f = values_of(&got->embed);
    for (size_t i = 0; i < (size_t)base->embed.rows * (size_t)base->embed.cols; i++) assert_true(e[i] == f[i]);
    free(e);
    free(f);
    for (int l = 0; l < base->config.num_hidden_layers; l++)
        assert_memory_equal(got->norm[l][GT_Q_NORM], base->norm[l][GT_Q_NORM],
                            (size_t)base->config.head_dim * sizeof(float));
    assert_memory_equal(got->final_norm, base->final_norm, (size_t)base->config.hidden_size * sizeof(float));
}

static void a_base_becomes_a_plain_folder(void **state)
{
    (void)state;
    const char *dir = temp_dir(), *model = golden("tiny/gqa_scaled");
    const gt_quantize_options q = {model, path_in(dir, "x.gtq"), false, true, false};
    assert_ok(gt_quantize(&q, NULL, NULL, NULL));
    const gt_export_options o = {.source = q.out, .out = path_in(dir, "plain"), .format = GT_EXPORT_HF};
    assert_ok(gt_export(&o, NULL, NULL));
    gt_weights *base = NULL, *got = NULL;
    assert_ok(gt_weights_open(&base, q.out));
    assert_ok(gt_weights_open(&got, o.out));
    assert_merged(got, base, NULL);
    assert_fails(gt_export(&o, NULL, NULL), GT_ERR_CONFIG, "not empty");
    gt_export_options again = o;
    again.replace = true;
    assert_ok(gt_export(&again, NULL, NULL));
    gt_weights_close(base);
    gt_weights_close(got);
}

static void an_adapter_is_added_to_the_weights(void **state)
{
    (void)state;
    const char *dir = temp_dir(), *model = golden("tiny/gqa_scaled"),
               *adapter = golden("tiny/gqa_scaled/adapter_qk_nf4_final");
    const gt_quantize_options q = {model, path_in(dir, "x.gtq"), false, true, false};
    assert_ok(gt_quantize(&q, NULL, NULL, NULL));
    const char *const bases[] = {model, q.out};
    for (int i = 0; i < 2; i++) {
        gt_text report = {0};
        const gt_export_options o = {.source = adapter,
                                     .out = path_in(dir, i ? "merged" : "merged_original"),
                                     .base = bases[i],
                                     .format = GT_EXPORT_MERGED};
        assert_ok(gt_export(&o, NULL, &report));
        assert_non_null(strstr(report.data, i ? "dequantized" : "stored"));
        gt_text_free(&report);
        gt_weights *base = NULL, *got = NULL;
        gt_adapter *a = NULL;
        assert_ok(gt_weights_open(&base, bases[i]));
        assert_ok(gt_weights_open(&got, o.out));
        assert_ok(gt_adapter_read(&a, adapter, &base->config));
        assert_merged(got, base, a);
        gt_safetensors *file = NULL;
        assert_ok(gt_safetensors_open(&file, path_in(o.out, "model.safetensors")));
        assert_string_equal(gt_safetensors_metadata(file, "merge_into"), i ? "dequantized" : "as stored");
        gt_safetensors_close(file);
        gt_adapter_free(a);
        gt_weights_close(base);
        gt_weights_close(got);
    }
    const gt_export_options bad = {.source = adapter,
                                   .out = path_in(dir, "never"),
                                   .base = q.out,
                                   .format = GT_EXPORT_MERGED,
                                   .into_original = true};
    assert_fails(gt_export(&bad, NULL, NULL), GT_ERR_CONFIG, "needs the original model");
    assert_false(gt_fs_exists(bad.out));
}

static void an_adapter_is_copied(void **state)
{
    (void)state;
    const char *adapter = golden("tiny/wide_head/adapter_all_final"), *model = golden("tiny/wide_head");
    const gt_export_options o = {
        .source = adapter, .out = path_in(temp_dir(), "copy"), .base = model, .format = GT_EXPORT_PEFT};
    assert_ok(gt_export(&o, NULL, NULL));
    gt_weights *w = NULL;
    gt_adapter *a = NULL, *b = NULL;
    assert_ok(gt_weights_open(&w, model));
    assert_ok(gt_adapter_read(&a, adapter, &w->config));
    assert_ok(gt_adapter_read(&b, o.out, &w->config));
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->param, b->param, a->count * sizeof(float));
    gt_adapter_free(a);
    gt_adapter_free(b);
    gt_weights_close(w);
}

static void what_is_no_source_is_refused(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    gt_export_options o = {.source = dir, .out = path_in(dir, "x"), .format = GT_EXPORT_MERGED};
    assert_fails(gt_export(&o, NULL, NULL), GT_ERR_CONFIG, "neither a run");
    o.source = "/nowhere";
    assert_fails(gt_export(&o, NULL, NULL), GT_ERR_CONFIG, "/nowhere");
    o.source = golden("tiny/wide_head/adapter_all_final");
    assert_fails(gt_export(&o, NULL, NULL), GT_ERR_CONFIG, "--base");
    assert_false(gt_fs_exists(o.out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_base_becomes_a_plain_folder),
        cmocka_unit_test(an_adapter_is_added_to_the_weights),
        cmocka_unit_test(an_adapter_is_copied),
        cmocka_unit_test(what_is_no_source_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
