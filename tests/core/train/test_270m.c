/* The real Gemma 3 270M against the public reference (golden/270m): logits of 21 prompts, MedQA answers token by token,
 * greedy texts, bf16 noise, five QLoRA steps. Each case is a process of its own with one thread: side by side they are
 * sooner done than one after the other with two. */
#include "base_dtype.h"
#include "fs.h"
#include "generate.h"
#include "golden_tensor.h"
#include "json.h"
#include "real_model.h"
#include "testing.h"
#include "tiny.h"
#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 900, COLUMN_STEP = 128 };

static gt_json_doc *read_json(const char *name)
{
    char *text;
    size_t size;
    gt_json_doc *doc;
    assert_ok(gt_fs_read(&text, &size, golden(name), 64u << 20));
    assert_ok(gt_json_parse(&doc, text, size, name));
    free(text);
    return doc;
}

/* Calls f with every line of a JSONL file, up to `most`. */
static void each_line(const char *name, int most, void (*f)(void *, const gt_json *, int), void *context)
{
    char *text;
    size_t size;
    assert_ok(gt_fs_read(&text, &size, golden(name), 64u << 20));
    char *line = text;
    for (int i = 0; i < most && *line; i++) {
        char *end = strchr(line, '\n');
        const size_t n = end ? (size_t)(end - line) : strlen(line);
        gt_json_doc *doc;
        assert_ok(gt_json_parse(&doc, line, n, name));
        f(context, gt_json_root(doc), i);
        gt_json_free(doc);
        if (!end) break;
        line = end + 1;
    }
    free(text);
}

static const gt_json *item(const gt_json *array, int i)
{
    const gt_json *v = array->child;
    while (v && i-- > 0) v = v->next;
    assert_non_null(v);
    return v;
}

static int ids_of(const gt_json *array, int32_t *out, int most)
{
    int n = 0;
    for (const gt_json *v = array->child; v && n < most; v = v->next) out[n++] = (int32_t)v->integer;
    return n;
}

/* Logits. */

typedef struct {
    double logits, lse, squares, count; /* worst differences; summed squares of logits' errors */
} errors;

/* Our logits of every prompt at the golden columns and positions, against `truth` ("gguf_f32" or "bf16w_f32"). */
static errors compare_prompts(const gt_weights *w, gt_dtype act, const char *truth, int first, int last)
{
    gt_json_doc *doc = read_json("270m/logits.json");
    const gt_json *root = gt_json_root(doc);
    tiny_run r;
    tiny_open(&r, w, GT_BACKEND_CPU, act, 1, NULL,
              &(gt_pass_options){.max_tokens = LONGEST, .max_documents = 1, .head_rows = 8}, 1024);
    const size_t vocab = (size_t)w->config.vocab_size;
    float *got = malloc(8 * vocab * sizeof *got);
    errors e = {0};
    for (int p = first; p < last; p++) {
        int32_t ids[LONGEST], row[LONGEST];
        const int n = ids_of(item(gt_json_get(root, "ids"), p), ids, LONGEST);
        const gt_json *facts = item(gt_json_get(root, truth), p);
        const int rows = ids_of(gt_json_get(facts, "positions"), row, LONGEST);
        char name[32];
        size_t count;
        snprintf(name, sizeof name, "%s.%d", truth, p);
        float *want = golden_f32("270m/logits.safetensors", name, &count);
        const size_t columns = count / (size_t)rows;
        gt_batch b;
        tiny_batch(&b, ids, n, 0);
        assert_ok(gt_forward(r.m, &r.pass, &b, &(gt_forward_options){0}));
        for (int at = 0; at < rows; at += 8) {
            const int now = rows - at < 8 ? rows - at : 8;
            assert_ok(gt_forward_logits(r.m, &r.pass, row + at, now, got));
            for (int i = 0; i < now; i++) {
                double sum = 0;
                for (size_t v = 0; v < vocab; v++) sum += exp(got[(size_t)i * vocab + v]);
                e.lse = fmax(e.lse, fabs(log(sum) - item(gt_json_get(facts, "logsumexp"), at + i)->number));
                for (size_t k = 0; k < columns; k++) {
                    const double d =
                        (double)got[(size_t)i * vocab + k * COLUMN_STEP] - want[(size_t)(at + i) * columns + k];
                    e.logits = fmax(e.logits, fabs(d));
                    e.squares += d * d;
                    e.count++;
                }
            }
        }
        gt_batch_free(&b);
        free(want);
    }
    free(got);
    tiny_close(&r);
    gt_json_free(doc);
    return e;
}

static void float32_logits_equal_the_reference(void **state)
{
    (void)state;
    gt_weights *w;
    assert_ok(gt_weights_open(&w, real_270m()));
    errors e = compare_prompts(w, GT_F32, "gguf_f32", 0, 21);
    print_message("native float32: logits %.2e, logsumexp %.2e\n", e.logits, e.lse);
    assert_true(e.logits <= 2e-3 && e.lse <= 2e-3); /* 18 layers of float32 sums; logits of size 30 */
    gt_weights_round_to_bf16(w);
    e = compare_prompts(w, GT_F32, "bf16w_f32", 0, 21);
    print_message("bf16 values in float32: logits %.2e, logsumexp %.2e\n", e.logits, e.lse);
    assert_true(e.logits <= 2e-3 && e.lse <= 2e-3);
    gt_weights_close(w);
}

static void bf16_noise_is_at_most_the_references(void **state)
{
    (void)state;
    gt_weights *w;
    assert_ok(gt_weights_open(&w, real_270m()));
    gt_weights_round_to_bf16(w);
    const errors e = compare_prompts(w, GT_BF16, "bf16w_f32", 0, 21);
    gt_json_doc *doc = read_json("270m/logits.json");
    const gt_json *root = gt_json_root(doc);
    double squares = 0, count = 0;
    for (int p = 0; p < 21; p++) {
        const double rms = gt_json_get(item(gt_json_get(root, "hf_bf16_error"), p), "rms")->number;
        const double rows = gt_json_get(item(gt_json_get(root, "bf16w_f32"), p), "positions")->count;
        squares += rms * rms * rows;
        count += rows;
    }
    gt_json_free(doc);
    const double ours = sqrt(e.squares / e.count), theirs = sqrt(squares / count);
    print_message("bf16 against float32: rms %.4f, the reference's %.4f, ratio %.3f\n", ours, theirs, ours / theirs);
    assert_true(ours <= 1.1 * theirs);
    gt_weights_close(w);
}

/* MedQA answers. */

typedef struct {
    tiny_run run;
    double worst;
} nll_run;

static void one_answer(void *context, const gt_json *row, int i)
{
    nll_run *n = context;
    (void)i;
    int32_t ids[LONGEST];
    double nll[LONGEST];
    const int count = ids_of(gt_json_get(row, "ids"), ids, LONGEST);
    gt_batch b;
    tiny_batch(&b, ids, count, (int)gt_json_get(row, "prompt_tokens")->integer);
    gt_loss_sum sum;
    assert_ok(gt_forward(n->run.m, &n->run.pass, &b, &(gt_forward_options){0}));
    assert_ok(gt_forward_loss(n->run.m, &n->run.pass, &b, false, &sum, nll, NULL));
    assert_int_equal(b.targets, gt_json_get(row, "nll")->count);
    for (int t = 0; t < b.targets; t++)
        n->worst = fmax(n->worst, fabs(nll[t] - item(gt_json_get(row, "nll"), t)->number));
    gt_batch_free(&b);
}

static void forty_medqa_answers_have_the_references_likelihoods(void **state)
{
    (void)state;
    gt_weights *w;
    assert_ok(gt_weights_open(&w, real_270m()));
    nll_run n = {0};
    tiny_open(&n.run, w, GT_BACKEND_CPU, GT_F32, 1, NULL,
              &(gt_pass_options){.max_tokens = LONGEST, .max_documents = 1, .head_rows = 64}, 1024);
    each_line("270m/medqa_nll_gguf_f32.jsonl", 40, one_answer, &n);
    print_message("40 MedQA rows: worst token %.2e\n", n.worst);
    assert_true(n.worst <= 1e-3);
    tiny_close(&n.run);
    gt_weights_close(w);
}

/* Greedy texts. */

typedef struct {
    int32_t id[64];
    int n;
} drawn;

static gt_status keep_token(void *context, int32_t id)
{
    drawn *d = context;
    d->id[d->n++] = id;
    return GT_OK;
}

/* Whether our two best logits after `prefix` lie within 1e-3: then either continuation is right. */
static bool near_tie(gt_generator *g, const int32_t *prompt, int n, const int32_t *made, int count)
{
    int32_t all[LONGEST];
    memcpy(all, prompt, (size_t)n * sizeof *all);
    memcpy(all + n, made, (size_t)count * sizeof *all);
    drawn d = {0};
    int got;
    assert_ok(gt_generate(g, all, n + count, 1, &(gt_sampling){0}, keep_token, &d, &got));
    gt_candidate best[2];
    gt_top_candidates(best, 2, g->logits, g->m->config->vocab_size, g->scratch);
    return best[0].logit - best[1].logit <= 1e-3f;
}

static void greedy_texts_are_the_references(void **state)
{
    (void)state;
    gt_weights *w;
    assert_ok(gt_weights_open(&w, real_270m()));
    w->config.eos_count = 0; /* the reference was told to make 32 tokens */
    gt_model *m;
    assert_ok(gt_model_create(
        &m, w,
        &(gt_model_options){
            .backend = GT_BACKEND_CPU, .act = GT_F32, .threads = 1, .positions = 256, .max_tokens = 128}));
    gt_generator g;
    assert_ok(gt_generator_create(&g, m, 256, 128));
    gt_json_doc *doc = read_json("270m/greedy_gguf_f32.json"), *prompts = read_json("270m/logits.json");
    int equal = 0, tied = 0, count = 0;
    const gt_json *texts = gt_json_get(gt_json_root(prompts), "prompts");
    for (const gt_json *row = gt_json_root(doc)->child; row; row = row->next, count++) {
        const gt_json *prompt = gt_json_get(row, "prompt");
        int32_t ids[LONGEST], want[64];
        int n = 0;
        for (int p = 0; p < (int)texts->count && n == 0; p++)
            if (gt_json_is_string(item(texts, p), prompt->string))
                n = ids_of(item(gt_json_get(gt_json_root(prompts), "ids"), p), ids, LONGEST);
        assert_true(n > 0);
        const int made = ids_of(gt_json_get(row, "ids"), want, 64);
        drawn d = {0};
        int got, same = 0;
        assert_ok(gt_generate(&g, ids, n, made, &(gt_sampling){0}, keep_token, &d, &got));
        while (same < got && d.id[same] == want[same]) same++;
        if (same == made)
            equal++;
        else if (near_tie(&g, ids, n, want, same))
            tied++;
        else
            print_message("prompt %d differs at token %d\n", count, same);
    }
    print_message("greedy: %d of %d equal, %d up to a near-tie\n", equal, count, tied);
    assert_int_equal(equal + tied, count);
    gt_json_free(doc);
    gt_json_free(prompts);
    gt_generator_destroy(&g);
    gt_model_destroy(m);
    gt_weights_close(w);
}

/* Five QLoRA steps. */

enum { ROWS = 40, PER_STEP = 8, ROW_TOKENS = 600 };

typedef struct {
    gt_sample sample[ROWS];
    int32_t ids[ROWS][ROW_TOKENS];
    uint8_t label[ROWS][ROW_TOKENS];
} rows;

static void take_row(void *context, const gt_json *row, int i)
{
    rows *r = context;
    gt_sample *s = &r->sample[i];
    *s = (gt_sample){.ids = r->ids[i], .label = r->label[i], .row = (uint64_t)i};
    assert_true(gt_json_get(row, "ids")->count <= ROW_TOKENS);
    s->n = ids_of(gt_json_get(row, "ids"), r->ids[i], ROW_TOKENS);
    for (int p = (int)gt_json_get(row, "prompt_tokens")->integer; p < s->n; p++, s->supervised++) s->label[p] = 1;
}

static void load_adapter(gt_lora *l, const char *file)
{
    for (int i = 0; i < l->layers * GT_PROJ_COUNT; i++) {
        const gt_slot slot = gt_slot_at(i);
        const gt_lora_slot *s = &l->slot[slot.layer][slot.proj];
        if (!s->r) continue;
        for (int ab = 0; ab < 2; ab++) {
            char name[160];
            size_t n;
            snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.lora_%c.weight", slot.layer,
                     gt_proj_path(slot.proj), "AB"[ab]);
            float *v = golden_f32(file, name, &n);
            memcpy(l->param + (ab ? s->b : s->a), v, n * sizeof *v);
            free(v);
        }
    }
}

static void five_qlora_steps_equal_the_reference(void **state)
{
    (void)state;
    gt_weights *w;
    assert_ok(gt_weights_open(&w, real_270m()));
    gt_weights_round_to_bf16(w);
    static tiny_quantized q;
    quantize_in_memory(&q, w);
    static gt_lora lora;
    int ranks[GT_MAX_LAYERS * GT_PROJ_COUNT] = {0};
    float scalings[GT_MAX_LAYERS * GT_PROJ_COUNT] = {0};
    for (int i = 0; i < gt_slot_count(&w->config); i++) {
        if (gt_slot_at(i).proj > GT_K_PROJ) continue;
        ranks[i] = 16;
        scalings[i] = 2;
    }
    gt_lora_layout(&lora, &w->config, ranks, scalings);
    gt_trainer t = {
        .pass_tokens = 1024, .lora = &lora, .optim = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_grad_norm = 1.0}};
    gt_arena arena;
    for (int real = 0; real < 2; real++) {
        const size_t bytes = real ? arena.used : 0;
        if (real)
            assert_ok(gt_arena_create(&arena, bytes));
        else
            gt_arena_measure(&arena);
        gt_lora_carve(&lora, &arena, GT_F32);
        gt_trainer_carve(&t, &arena, lora.count, PER_STEP / 4);
    }
    load_adapter(&lora, "270m/adapter_start/adapter_model.safetensors");
    tiny_run run;
    tiny_open(&run, w, GT_BACKEND_CPU, GT_F32, 1, &lora,
              &(gt_pass_options){
                  .max_tokens = 1024, .max_documents = 4, .head_rows = 64, .training = true, .keep = GT_KEEP_ALL},
              1024);
    t.model = run.m;
    t.pass = &run.pass;
    rows *r = calloc(1, sizeof *r);
    each_line("270m/train_data.jsonl", ROWS, take_row, r);
    gt_json_doc *doc = read_json("270m/train.json");
    gt_comm *comm;
    assert_ok(gt_comm_create_self(&comm));
    double worst = 0;
    for (int step = 0; step < 5; step++) {
        const gt_sample *sample[PER_STEP];
        uint64_t supervised = 0;
        for (int i = 0; i < PER_STEP; i++) {
            sample[i] = &r->sample[step * PER_STEP + i];
            supervised += (uint64_t)sample[i]->supervised;
        }
        assert_ok(gt_window_begin(&t, 2, supervised));
        gt_micro_result micro;
        for (int k = 0; k < 2; k++) assert_ok(gt_trainer_micro(&t, k, sample + 4 * k, 4, 0, &micro));
        gt_step_result result;
        assert_ok(gt_trainer_update(&t, comm, 2e-4, &result));
        const double loss = item(gt_json_get(gt_json_root(doc), "losses"), step)->number;
        const double norm = item(gt_json_get(gt_json_root(doc), "grad_norms_before_clip"), step)->number;
        print_message("step %d: loss %.7f (%.1e off), gradient norm %.5f (%.1e off)\n", step, result.loss,
                      fabs(result.loss - loss) / loss, result.grad_norm, fabs(result.grad_norm - norm) / norm);
        worst = fmax(worst, fabs(result.loss - loss) / loss);
    }
    assert_true(worst <= 1e-4);
    gt_comm_destroy(comm);
    gt_json_free(doc);
    free(r);
    tiny_close(&run);
    gt_arena_free(&arena);
    free_quantized(&q);
    gt_weights_close(w);
}

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float32_logits_equal_the_reference),
        cmocka_unit_test(bf16_noise_is_at_most_the_references),
        cmocka_unit_test(forty_medqa_answers_have_the_references_likelihoods),
        cmocka_unit_test(greedy_texts_are_the_references),
        cmocka_unit_test(five_qlora_steps_equal_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
