/* Twenty optimizer steps of the public reference (PEFT + torch AdamW in float32 and float64), step for step, on the
 * golden tiny models: first gradients, every loss, the final adapter. A correct float32 engine lies within ten times
 * the reference's own float32 error (golden/README.md), which each case states. */
#include "golden_tensor.h"
#include "schedule.h"
#include "testing.h"
#include "tiny.h"
#include "trainer.h"

#include "fs.h"
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 120, LONGEST = 29, STEPS = 20, PER_STEP = 6, MICRO = 2 };

typedef struct {
    char dir[128], file[128], start[128];
    const char *name;
    gt_json_doc *doc;
    const gt_json *json;
    gt_weights *w;
    tiny_quantized quantized;
    bool nf4;
    gt_lora lora;
    gt_arena lora_arena;
    int32_t *ids, *len, *first;
} scene;

static double number(const gt_json *o, const char *key)
{
    const gt_json *v = gt_json_get(o, key);
    assert_non_null(v);
    return v->number;
}

static double at(const gt_json *array, int i)
{
    const gt_json *v = array->child;
    while (i-- > 0) v = v->next;
    return v->number;
}

static void tensor_name(char *out, size_t size, const char *prefix, int layer, int proj, char ab, const char *suffix)
{
    snprintf(out, size, "%sbase_model.model.model.layers.%d.%s.lora_%c%s.weight", prefix, layer,
             gt_proj_path((gt_proj)proj), ab, suffix);
}

static bool targeted(const gt_json *json, int proj)
{
    for (const gt_json *t = gt_json_get(json, "target_modules")->child; t; t = t->next)
        if (gt_json_is_string(t, gt_proj_name((gt_proj)proj))) return true;
    return false;
}

static void load_start(scene *s)
{
    for (int l = 0; l < s->lora.layers; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            const gt_lora_slot *slot = &s->lora.slot[l][p];
            if (!slot->r) continue;
            for (int ab = 0; ab < 2; ab++) {
                char name[160];
                size_t n;
                tensor_name(name, sizeof name, "", l, p, "AB"[ab], "");
                float *v = golden_f32(s->start, name, &n);
                memcpy(s->lora.param + (ab ? slot->b : slot->a), v, n * sizeof *v);
                free(v);
            }
        }
    }
}

static void open_scene(scene *s, const char *variant, const char *name)
{
    memset(s, 0, sizeof *s);
    s->name = name;
    snprintf(s->dir, sizeof s->dir, "tiny/%s", variant);
    snprintf(s->file, sizeof s->file, "tiny/%s/train_%s.safetensors", variant, name);
    snprintf(s->start, sizeof s->start, "tiny/%s/adapter_%s_start/adapter_model.safetensors", variant, name);
    char json[128], *text;
    size_t size;
    snprintf(json, sizeof json, "tiny/%s/train_%s.json", variant, name);
    assert_ok(gt_fs_read(&text, &size, golden(json), 1 << 20));
    assert_ok(gt_json_parse(&s->doc, text, size, json));
    free(text);
    s->json = gt_json_root(s->doc);
    assert_ok(gt_weights_open(&s->w, golden(s->dir)));
    s->nf4 = strcmp(gt_json_get(s->json, "base")->string, "nf4") == 0;
    if (s->nf4) quantize_in_memory(&s->quantized, s->w);
    const int layers = s->w->config.num_hidden_layers, r = (int)number(s->json, "r");
    int *ranks = calloc((size_t)(layers * GT_PROJ_COUNT), sizeof *ranks);
    float *scalings = calloc((size_t)(layers * GT_PROJ_COUNT), sizeof *scalings);
    const double alpha = number(s->json, "lora_alpha");
    const bool rs = gt_json_get(s->json, "use_rslora")->type == GT_JSON_TRUE;
    for (int i = 0; i < layers * GT_PROJ_COUNT; i++) {
        if (!targeted(s->json, gt_slot_at(i).proj)) continue;
        ranks[i] = r;
        scalings[i] = (float)(rs ? alpha / sqrt(r) : alpha / r);
    }
    gt_lora_layout(&s->lora, &s->w->config, ranks, scalings);
    free(ranks);
    free(scalings);
    gt_arena plan;
    gt_arena_measure(&plan);
    gt_lora_carve(&s->lora, &plan, GT_F32);
    assert_ok(gt_arena_create(&s->lora_arena, plan.used));
    gt_lora_carve(&s->lora, &s->lora_arena, GT_F32);
    load_start(s);
    s->ids = golden_i32(s->file, "data_ids", NULL);
    s->len = golden_i32(s->file, "data_len", NULL);
    s->first = golden_i32(s->file, "data_first_label", NULL);
}

static void close_scene(scene *s)
{
    free(s->ids);
    free(s->len);
    free(s->first);
    gt_arena_free(&s->lora_arena);
    if (s->nf4) free_quantized(&s->quantized);
    gt_weights_close(s->w);
    gt_json_free(s->doc);
}

/* Largest over tensors of |got - f64|_2 / |f64|_2 (relative) or of max |got - f64|, against `prefix`'s tensors. */
static double worst(const scene *s, const char *prefix, const float *flat, bool relative)
{
    double most = 0;
    for (int l = 0; l < s->lora.layers; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            const gt_lora_slot *slot = &s->lora.slot[l][p];
            if (!slot->r) continue;
            for (int ab = 0; ab < 2; ab++) {
                char name[160];
                size_t n;
                tensor_name(name, sizeof name, prefix, l, p, "AB"[ab], ".default");
                double *want = golden_f64(s->file, name, &n), diff = 0, norm = 0, largest = 0;
                const float *got = flat + (ab ? slot->b : slot->a);
                for (size_t i = 0; i < n; i++) {
                    const double d = fabs(got[i] - want[i]);
                    diff += d * d;
                    norm += want[i] * want[i];
                    largest = fmax(largest, d);
                }
                most = fmax(most, relative ? sqrt(diff / norm) : largest);
                free(want);
            }
        }
    }
    return most;
}

static void add_row(const scene *s, int row, gt_sample *out, uint8_t *label)
{
    memset(label, 0, LONGEST);
    *out = (gt_sample){.ids = s->ids + (size_t)row * LONGEST, .label = label, .n = s->len[row], .row = (uint64_t)row};
    for (int p = s->first[row]; p < s->len[row]; p++, out->supervised++) label[p] = 1;
}

static void train(const char *variant, const char *name, gt_backend backend, gt_keep keep, int threads)
{
    scene s;
    open_scene(&s, variant, name);
    gt_trainer t = {.pass_tokens = 2 * LONGEST,
                    .lora = &s.lora,
                    .optim = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01, .max_grad_norm = 1.0}};
    tiny_run run;
    tiny_open(&run, s.w, backend, GT_F32, threads, &s.lora,
              &(gt_pass_options){
                  .max_tokens = 2 * LONGEST, .max_documents = 2, .head_rows = 16, .training = true, .keep = keep},
              64);
    assert_ok(gt_lora_refresh(&s.lora, run.m->k, &run.m->x));
    t.model = run.m;
    t.pass = &run.pass;
    gt_arena plan, arena;
    gt_arena_measure(&plan);
    gt_trainer_carve(&t, &plan, s.lora.count, PER_STEP / MICRO);
    assert_ok(gt_arena_create(&arena, plan.used));
    gt_trainer_carve(&t, &arena, s.lora.count, PER_STEP / MICRO);
    gt_comm *comm;
    assert_ok(gt_comm_create_self(&comm));
    const gt_schedule schedule = {
        .type = GT_LR_COSINE, .learning_rate = 0.01, .warmup_steps = 5, .total_steps = STEPS, .num_cycles = 0.5};
    const gt_json *own = gt_json_get(s.json, "reference_own_error");
    double loss_error = 0, grad_error = 0, norm_error = 0;
    for (int step = 0; step < STEPS; step++) {
        gt_sample row[PER_STEP];
        uint8_t label[PER_STEP][LONGEST];
        uint64_t supervised = 0;
        for (int i = 0; i < PER_STEP; i++) {
            add_row(&s, step * PER_STEP + i, &row[i], label[i]);
            supervised += (uint64_t)row[i].supervised;
        }
        assert_ok(gt_window_begin(&t, PER_STEP / MICRO, supervised));
        for (int micro = PER_STEP / MICRO - 1; micro >= 0; micro--) { /* any order: sums are exact */
            const gt_sample *pair[MICRO] = {&row[micro * MICRO], &row[micro * MICRO + 1]};
            gt_micro_result r;
            assert_ok(gt_trainer_micro(&t, micro, pair, MICRO, 0, &r));
        }
        const double lr = gt_schedule_lr(&schedule, step);
        assert_float_equal(lr, at(gt_json_get(s.json, "lrs"), step), 1e-15);
        gt_step_result r;
        assert_ok(gt_trainer_update(&t, comm, lr, &r));
        assert_false(r.skipped);
        if (step == 0) grad_error = worst(&s, "grad0_f64.", t.grad, true);
        loss_error = fmax(loss_error, fabs(r.loss - at(gt_json_get(s.json, "losses_f64"), step)));
        const double norm = at(gt_json_get(s.json, "grad_norms_before_clip_f64"), step);
        norm_error = fmax(norm_error, fabs(r.grad_norm - norm) / norm);
    }
    const double final_error = worst(&s, "final_f64.", s.lora.param, false);
    print_message("%-10s %-6s %s keep %d: of the reference's own error: gradients %.2f, losses %.2f, adapter %.2f\n",
                  variant, name, run.m->k->name, (int)keep, grad_error / number(own, "grad0_max_rel"),
                  loss_error / number(own, "loss_max_abs"), final_error / number(own, "final_max_abs"));
    assert_true(grad_error <= 10 * number(own, "grad0_max_rel"));
    assert_true(loss_error <= 10 * number(own, "loss_max_abs"));
    assert_true(final_error <= 10 * number(own, "final_max_abs"));
    assert_true(norm_error <= 1e-4); /* a float32 gradient's norm; the reference gives no error of its own for it */
    gt_comm_destroy(comm);
    gt_arena_free(&arena);
    tiny_close(&run);
    close_scene(&s);
}

static const char *const variants[] = {"mqa_short", "gqa_scaled", "wide_head"};
static const char *const cases[] = {"qk", "all", "qk_nf4"};

static void twenty_steps_equal_the_reference_on_cpu(void **state)
{
    (void)state;
    for (int v = 0; v < 3; v++)
        for (int c = 0; c < 3; c++) train(variants[v], cases[c], GT_BACKEND_CPU, (gt_keep)((v + c) % 3), 2);
}

static void twenty_steps_equal_the_reference_on_ref(void **state)
{
    (void)state;
    train("mqa_short", "all", GT_BACKEND_REF, GT_KEEP_INPUTS, 2);
    train("gqa_scaled", "qk_nf4", GT_BACKEND_REF, GT_KEEP_ALL, 2);
    train("gqa_scaled", "qk", GT_BACKEND_REF, GT_KEEP_NO_MLP, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_steps_equal_the_reference_on_cpu),
        cmocka_unit_test(twenty_steps_equal_the_reference_on_ref),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
