/* The forward pass against the public reference's logits and hidden states (golden/tiny), in every layout the same
 * weights come in, on both backends. */
#include "base_open.h"
#include "golden_tensor.h"
#include "testing.h"
#include "tiny.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Float32 against float32 of another summation order: the bound. Logits are of size 10. */
static const double f32_bound = 1e-4;

typedef struct {
    const char *file; /* golden hidden states */
    int prompt, layers;
    double worst;
} watch;

static void compare_hidden(void *context, int layer, const void *x, int n)
{
    watch *w = context;
    if (layer == w->layers) return; /* the reference's last entry is after the final norm */
    char name[64];
    snprintf(name, sizeof name, "hidden_f32.%d.%d", w->prompt, layer);
    size_t count;
    float *want = golden_f32(w->file, name, &count);
    const double d = max_abs_diff(x, want, count);
    (void)n;
    if (d > w->worst) w->worst = d;
    free(want);
}

static void rows_of(int32_t *row, int n)
{
    for (int i = 0; i < n; i++) row[i] = i;
}

/* Largest differences of hidden states and logits over the three prompts. */
static void run(const gt_weights *w, gt_backend backend, gt_dtype act, const char *file, const char *logits_name,
                double *hidden, double *logits)
{
    enum { LONGEST = 37 };
    tiny_run r;
    tiny_open(&r, w, backend, act, 2, NULL,
              &(gt_pass_options){.max_tokens = LONGEST, .max_documents = 1, .head_rows = LONGEST}, 256);
    int32_t *ids = golden_i32(file, "input_ids", NULL), *len = golden_i32(file, "lengths", NULL);
    float *got = malloc(sizeof(float) * LONGEST * (size_t)w->config.vocab_size);
    *hidden = *logits = 0;
    for (int b = 0; b < 3; b++) {
        gt_batch batch;
        tiny_batch(&batch, ids + LONGEST * b, len[b], 0);
        watch see = {.file = file, .prompt = b, .layers = w->config.num_hidden_layers};
        const bool watching = strcmp(logits_name, "logits_f32") == 0 && act == GT_F32 && strstr(file, "nf4") == NULL;
        gt_forward_options o = {.observe = watching ? compare_hidden : NULL, .observe_context = &see};
        assert_ok(gt_forward(r.m, &r.pass, &batch, &o));
        int32_t row[LONGEST];
        rows_of(row, len[b]);
        assert_ok(gt_forward_logits(r.m, &r.pass, row, len[b], got));
        char name[64];
        snprintf(name, sizeof name, "%s.%d", logits_name, b);
        size_t count;
        float *want = golden_f32(file, name, &count);
        assert_int_equal(count, (size_t)len[b] * (size_t)w->config.vocab_size);
        *logits = fmax(*logits, max_abs_diff(got, want, count));
        *hidden = fmax(*hidden, see.worst);
        free(want);
        gt_batch_free(&batch);
    }
    free(got);
    free(ids);
    free(len);
    tiny_close(&r);
}

static gt_weights *open_tiny(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "tiny/%s", name);
    gt_weights *w;
    assert_ok(gt_base_open(&w, golden(path), &(gt_base_options){.dtype = GT_BASE_NATIVE}, NULL));
    return w;
}

static void check(const char *model, const char *variant, bool nf4, gt_backend backend)
{
    gt_weights *w = open_tiny(model);
    static tiny_quantized q;
    if (nf4) quantize_in_memory(&q, w);
    char file[128];
    snprintf(file, sizeof file, "tiny/%s/%s", variant,
             nf4 || strstr(model, "bnb") ? "forward_nf4.safetensors" : "forward.safetensors");
    double hidden, logits;
    run(w, backend, GT_F32, file, "logits_f32", &hidden, &logits);
    print_message("%s%s on %s: hidden %.2e, logits %.2e\n", model, nf4 ? " as NF4" : "",
                  backend == GT_BACKEND_REF ? "ref" : "cpu", hidden, logits);
    assert_true(hidden <= f32_bound);
    assert_true(logits <= f32_bound);
    if (nf4) free_quantized(&q);
    gt_weights_close(w);
}

static const gt_backend backends[] = {GT_BACKEND_REF, GT_BACKEND_CPU};

static void every_layout_gives_the_reference_logits(void **state)
{
    (void)state;
    static const char *const model[][2] = {{"mqa_short", "mqa_short"},
                                           {"gqa_scaled", "gqa_scaled"},
                                           {"wide_head", "wide_head"},
                                           {"mqa_short/layout_legacy_sharded", "mqa_short"},
                                           {"mqa_short/layout_multimodal_old", "mqa_short"},
                                           {"mqa_short/layout_multimodal_new", "mqa_short"}};
    for (size_t i = 0; i < sizeof model / sizeof *model; i++)
        for (int b = 0; b < 2; b++) check(model[i][0], model[i][1], false, backends[b]);
}

static void nf4_bases_give_the_reference_logits(void **state)
{
    (void)state;
    static const char *const model[] = {"mqa_short", "gqa_scaled", "wide_head"};
    for (size_t i = 0; i < 3; i++)
        for (int b = 0; b < 2; b++) check(model[i], model[i], true, backends[b]);
    for (int b = 0; b < 2; b++) check("wide_head/layout_bnb_nf4_nested", "wide_head", false, backends[b]);
}

/* The float64 reference keeps norms, RoPE tables and softmax in float32: golden/README.md states about 5e-6. Our ref in
 * float64 rounds only the tables, so the same bound holds with a little room. */
static void the_float64_arbiter_agrees_with_the_float64_reference(void **state)
{
    (void)state;
    static const char *const model[] = {"mqa_short", "gqa_scaled", "wide_head"};
    for (size_t i = 0; i < 3; i++) {
        gt_weights *w = open_tiny(model[i]);
        char file[128];
        snprintf(file, sizeof file, "tiny/%s/forward.safetensors", model[i]);
        double hidden, logits;
        run(w, GT_BACKEND_REF, GT_F64, file, "logits_f32", &hidden, &logits);
        print_message("%s in float64: logits %.2e from the reference's float32\n", model[i], logits);
        assert_true(logits <= f32_bound);
        gt_weights_close(w);
    }
}

/* bf16 against the float32 truth: our root mean square error is at most 1.1 times that of the reference's own bf16 run.
 */
static void bf16_is_as_close_to_the_truth_as_the_reference(void **state)
{
    (void)state;
    static const char *const model[] = {"mqa_short", "gqa_scaled", "wide_head"};
    for (int b = 0; b < 2; b++) {
        double ours = 0, theirs = 0;
        for (size_t i = 0; i < 3; i++) {
            gt_weights *w = open_tiny(model[i]);
            char file[128];
            snprintf(file, sizeof file, "tiny/%s/forward.safetensors", model[i]);
            int32_t *ids = golden_i32(file, "input_ids", NULL), *len = golden_i32(file, "lengths", NULL);
            tiny_run r;
            tiny_open(&r, w, backends[b], GT_BF16, 2, NULL,
                      &(gt_pass_options){.max_tokens = 37, .max_documents = 1, .head_rows = 37}, 256);
            float *got = malloc(sizeof(float) * 37 * (size_t)w->config.vocab_size);
            for (int p = 0; p < 3; p++) {
                gt_batch batch;
                tiny_batch(&batch, ids + 37 * p, len[p], 0);
                int32_t row[37];
                rows_of(row, len[p]);
                assert_ok(gt_forward(r.m, &r.pass, &batch, &(gt_forward_options){0}));
                assert_ok(gt_forward_logits(r.m, &r.pass, row, len[p], got));
                char name[64];
                size_t n;
                snprintf(name, sizeof name, "logits_f32.%d", p);
                float *truth = golden_f32(file, name, &n);
                snprintf(name, sizeof name, "logits_bf16.%d", p);
                float *reference = golden_f32(file, name, NULL);
                for (size_t j = 0; j < n; j++) {
                    ours += pow((double)got[j] - truth[j], 2) / (double)n;
                    theirs += pow((double)reference[j] - truth[j], 2) / (double)n;
                }
                free(truth);
                free(reference);
                gt_batch_free(&batch);
            }
            free(got);
            free(ids);
            free(len);
            tiny_close(&r);
            gt_weights_close(w);
        }
        print_message("%s bf16: rms %.4f of the reference's %.4f\n", b ? "cpu" : "ref", sqrt(ours / 9),
                      sqrt(theirs / 9));
        assert_true(sqrt(ours) <= 1.1 * sqrt(theirs));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_gives_the_reference_logits),
        cmocka_unit_test(nf4_bases_give_the_reference_logits),
        cmocka_unit_test(the_float64_arbiter_agrees_with_the_float64_reference),
        cmocka_unit_test(bf16_is_as_close_to_the_truth_as_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
