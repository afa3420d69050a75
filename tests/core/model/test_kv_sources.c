/* Many documents with caches and adapters of their own in one gt_forward, against each of them alone: what a server
 * needs to compute its requests together. */
#include "base_open.h"
#include "checked.h"
#include "rng.h"
#include "testing.h"
#include "tiny.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCS = 9, CACHED = 8, ADAPTERS = 3, POSITIONS = 256, PAGE = 64, PAGES = POSITIONS / PAGE, RANK = 6 };

/* Tokens held before the call that is looked at, tokens of that call, adapter (-1: none). The window is 16 tokens and a
 * page 64: documents begin, continue inside a page, end one, cross into the next, and lie far beyond the window;
 * prompts in pieces stand beside single tokens. The last has no source: it begins and ends in the call. */
static const struct {
    int held, now, adapter;
} doc[DOCS] = {{0, 1, 0},     {0, 40, -1}, {5, 1, 1},   {63, 2, 0}, {64, 1, 0},
               {100, 30, -1}, {130, 1, 2}, {70, 64, 1}, {0, 20, 2}};

typedef struct {
    gt_weights *w;
    gt_dtype act;
    gt_lora lora[ADAPTERS];
    gt_arena adapters, caches;
    gt_kv_source run[CACHED], paged[CACHED];
    void *page_table[CACHED][2][GT_MAX_LAYERS][PAGES];
    tiny_run model;
    float *alone, *together; /* logits [rows of all documents, V] */
} scene;

/* Adapter a: on the attention, on everything, and on every second layer's MLP; ranks differ. */
static void lay_out_adapters(scene *s)
{
    static const int rank[ADAPTERS] = {3, RANK, 2};
    for (int a = 0; a < ADAPTERS; a++) {
        int ranks[GT_MAX_LAYERS * GT_PROJ_COUNT] = {0};
        float scalings[GT_MAX_LAYERS * GT_PROJ_COUNT] = {0};
        for (int i = 0; i < gt_slot_count(&s->w->config); i++) {
            const gt_slot at = gt_slot_at(i);
            const bool on[ADAPTERS] = {at.proj <= GT_O_PROJ, true, at.proj > GT_O_PROJ && at.layer % 2 == 1};
            ranks[i] = on[a] ? rank[a] : 0;
            scalings[i] = 0.5f + (float)a;
        }
        gt_lora_layout(&s->lora[a], &s->w->config, ranks, scalings);
    }
}

static void carve_adapters(void *context, gt_arena *arena)
{
    scene *s = context;
    for (int a = 0; a < ADAPTERS; a++) gt_lora_carve(&s->lora[a], arena, s->act);
}

/* Each document's pages lie in reverse order, parted by other documents'. */
static void carve_caches(void *context, gt_arena *arena)
{
    scene *s = context;
    const gt_model_config *c = &s->w->config;
    const size_t row = (size_t)c->num_key_value_heads * (size_t)c->head_dim * (size_t)gt_dtype_block_bytes(s->act);
    for (int d = 0; d < CACHED; d++) gt_kv_source_carve(&s->run[d], arena, c, s->act, POSITIONS);
    for (int l = 0; l < c->num_hidden_layers; l++)
        for (int p = PAGES - 1; p >= 0; p--)
            for (int kv = 0; kv < 2; kv++)
                for (int d = 0; d < CACHED; d++)
                    s->page_table[d][kv][l][p] = gt_arena_push(arena, PAGE, row, "test.pages");
    for (int d = 0; d < CACHED; d++) {
        s->paged[d] = (gt_kv_source){.capacity = POSITIONS, .page_tokens = PAGE};
        for (int l = 0; l < c->num_hidden_layers; l++) {
            s->paged[d].k_pages[l] = s->page_table[d][0][l];
            s->paged[d].v_pages[l] = s->page_table[d][1][l];
        }
    }
}

static int rows_before(int d, bool held)
{
    int n = 0;
    for (int i = 0; i < d; i++) n += held ? doc[i].held : doc[i].now;
    return n;
}

static scene *open_scene(const char *model, gt_backend backend, gt_dtype act)
{
    char path[256];
    scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->act = act;
    snprintf(path, sizeof path, "tiny/%s", model);
    assert_ok(gt_base_open(&s->w, golden(path), &(gt_base_options){.dtype = GT_BASE_NATIVE}, NULL));
    lay_out_adapters(s);
    assert_ok(gt_arena_build(&s->adapters, carve_adapters, s));
    assert_ok(gt_arena_build(&s->caches, carve_caches, s));
    memset(s->caches.memory, 0xff, s->caches.used); /* not a number in every dtype: what was not written is not read */
    const gt_pass_options o = {.max_tokens = gt_max_int(rows_before(DOCS, true), rows_before(DOCS, false)),
                               .max_documents = DOCS,
                               .head_rows = rows_before(DOCS, false),
                               .lora_rank = RANK};
    tiny_open(&s->model, s->w, backend, act, 2, NULL, &o, POSITIONS);
    for (int a = 0; a < ADAPTERS; a++) {
        fill_random(s->lora[a].param, s->lora[a].count, 11 + (uint64_t)a);
        for (size_t i = 0; i < s->lora[a].count; i++) s->lora[a].param[i] *= 0.1f;
        assert_ok(gt_lora_refresh(&s->lora[a], s->model.m->k, &s->model.m->x));
    }
    const size_t values = (size_t)rows_before(DOCS, false) * (size_t)s->w->config.vocab_size;
    s->alone = calloc(values, sizeof *s->alone);
    s->together = calloc(values, sizeof *s->together);
    assert_non_null(s->alone);
    assert_non_null(s->together);
    return s;
}

static void close_scene(scene *s)
{
    tiny_close(&s->model);
    gt_arena_free(&s->adapters);
    gt_arena_free(&s->caches);
    gt_weights_close(s->w);
    free(s->alone);
    free(s->together);
    free(s);
}

/* Which tokens of its documents a call computes: what caches hold before, what is looked at, or both at once, without
 * caches. */
typedef enum { HELD, NOW, WHOLE } part;

/* One call over documents [first, end). Logits of the tokens that are looked at go to out, if there are any. */
static void feed(scene *s, gt_kv_source *kv, int first, int end, part which, float *out)
{
    static int32_t ids[DOCS * POSITIONS], pos[DOCS * POSITIONS], row[DOCS * POSITIONS];
    static const uint64_t sample[DOCS];
    int32_t begin[DOCS + 1] = {0};
    gt_span_source source[DOCS];
    int docs = 0, n = 0, rows = 0;
    for (int d = first; d < end; d++) {
        const int from = which == NOW ? doc[d].held : 0, to = doc[d].held + (which == HELD ? 0 : doc[d].now);
        if (from == to) continue;
        for (int i = from; i < to; i++, n++) {
            if (i >= doc[d].held) row[rows++] = n;
            pos[n] = i;
            ids[n] = (int32_t)gt_rng_below(7, (uint64_t)(d * POSITIONS + i), (uint64_t)s->w->config.vocab_size);
        }
        source[docs] = (gt_span_source){.kv = d < CACHED && which != WHOLE ? &kv[d] : NULL,
                                        .lora = doc[d].adapter < 0 ? NULL : &s->lora[doc[d].adapter]};
        begin[++docs] = n;
    }
    if (docs == 0) return;
    const gt_batch b = {.n = n, .ids = ids, .pos = pos, .docs = docs, .doc_begin = begin, .doc_sample = sample};
    assert_ok(gt_forward(s->model.m, &s->model.pass, &b, &(gt_forward_options){.source = source}));
    if (rows > 0) assert_ok(gt_forward_logits(s->model.m, &s->model.pass, row, rows, out));
}

static float *logits_at(const scene *s, float *logits, int d)
{
    return logits + (size_t)rows_before(d, false) * (size_t)s->w->config.vocab_size;
}

static void each_whole(scene *s, float *out)
{
    for (int d = 0; d < DOCS; d++) feed(s, NULL, d, d + 1, WHOLE, logits_at(s, out, d));
}

static void each_alone(scene *s, gt_kv_source *kv, float *out)
{
    for (int d = 0; d < DOCS; d++) {
        feed(s, kv, d, d + 1, HELD, NULL);
        feed(s, kv, d, d + 1, NOW, logits_at(s, out, d));
    }
}

static void all_together(scene *s, gt_kv_source *kv, float *out)
{
    feed(s, kv, 0, DOCS, HELD, NULL);
    feed(s, kv, 0, DOCS, NOW, out);
    for (int d = 0; d < CACHED; d++) assert_int_equal(kv[d].len, doc[d].held + doc[d].now);
}

static size_t logits_of(const scene *s)
{
    return (size_t)rows_before(DOCS, false) * (size_t)s->w->config.vocab_size;
}

static double rms_diff(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += pow((double)a[i] - b[i], 2);
    return sqrt(sum / (double)n);
}

/* Two float32 results that were summed in unlike orders: logits are of size 10 (the bound of test_forward). */
static const double f32_bound = 1e-4;

static const char *const models[] = {"mqa_short", "gqa_scaled"};

/* Every sum of ref is its row's own, so neither caches nor pages nor company change a bit. */
static void on_ref_documents_whole_in_pieces_on_pages_and_together_have_the_same_bits(void **state)
{
    (void)state;
    static const gt_dtype act[] = {GT_F32, GT_BF16};
    for (int i = 0; i < 2; i++) {
        scene *s = open_scene(models[i], GT_BACKEND_REF, act[i]);
        const size_t bytes = logits_of(s) * sizeof *s->alone;
        each_whole(s, s->alone);
        each_alone(s, s->run, s->together);
        assert_memory_equal(s->alone, s->together, bytes);
        all_together(s, s->paged, s->together);
        assert_memory_equal(s->alone, s->together, bytes);
        close_scene(s);
    }
}

/* The cpu's products sum in another order when they are of another height (a row alone is not cut as many rows are, and
 * the head takes dot products up to two rows), so float32 differs as two orders of summing do. */
static void on_cpu_documents_together_are_those_alone_up_to_the_order_of_sums(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++) {
        scene *s = open_scene(models[m], GT_BACKEND_CPU, GT_F32);
        each_alone(s, s->run, s->alone);
        all_together(s, s->paged, s->together);
        const double worst = max_abs_diff(s->together, s->alone, logits_of(s));
        print_message("%s: worst difference %.2e\n", models[m], worst);
        assert_true(worst <= f32_bound);
        close_scene(s);
    }
}

/* In bf16 another order of summing turns some roundings to the neighbour, and no more: two results differ by less than
 * either differs from float32, where every rounding counts. */
static void assert_within_rounding(const scene *s, const char *model)
{
    scene *truth = open_scene(model, GT_BACKEND_CPU, GT_F32);
    each_alone(truth, truth->run, truth->alone);
    const size_t n = logits_of(s);
    const double rounding = rms_diff(s->alone, truth->alone, n), apart = rms_diff(s->alone, s->together, n);
    print_message("%s: rms %.2e apart, %.2e from float32\n", model, apart, rounding);
    assert_true(apart <= rounding);
    assert_true(rms_diff(s->together, truth->alone, n) <= 1.1 * rounding);
    close_scene(truth);
}

static void on_cpu_in_bf16_they_differ_by_less_than_bf16_from_float32(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++) {
        scene *s = open_scene(models[m], GT_BACKEND_CPU, GT_BF16);
        each_alone(s, s->run, s->alone);
        all_together(s, s->paged, s->together);
        assert_within_rounding(s, models[m]);
        close_scene(s);
    }
}

/* The cpu's attention sums over keys in runs of 64, 128 or 256 that end where a page does. Up to 127 keys all runs are
 * of 64, so that pages of 64 change nothing; beyond, the order of sums is another. */
static void on_cpu_pages_give_the_bits_of_one_run_up_to_127_keys(void **state)
{
    (void)state;
    static const gt_dtype act[] = {GT_F32, GT_BF16};
    for (int i = 0; i < 4; i++) {
        scene *s = open_scene(models[i & 1], GT_BACKEND_CPU, act[i >> 1]);
        const size_t vocab = (size_t)s->w->config.vocab_size;
        each_alone(s, s->run, s->alone);
        each_alone(s, s->paged, s->together);
        for (int d = 0; d < CACHED; d++) {
            const size_t bytes = (size_t)doc[d].now * vocab * sizeof(float);
            if (doc[d].held + doc[d].now < 128)
                assert_memory_equal(logits_at(s, s->alone, d), logits_at(s, s->together, d), bytes);
        }
        if (act[i >> 1] == GT_F32)
            assert_true(max_abs_diff(s->together, s->alone, logits_of(s)) <= f32_bound);
        else
            assert_within_rounding(s, models[i & 1]);
        close_scene(s);
    }
}

/* One document of n tokens from position pos on. */
static gt_status one(scene *s, int pos, int n, const gt_span_source *source)
{
    static const int32_t ids[POSITIONS];
    static const uint64_t sample;
    int32_t at[POSITIONS], begin[2] = {0, n};
    for (int i = 0; i < n; i++) at[i] = pos + i;
    const gt_batch b = {.n = n, .ids = ids, .pos = at, .docs = 1, .doc_begin = begin, .doc_sample = &sample};
    return gt_forward(s->model.m, &s->model.pass, &b, &(gt_forward_options){.source = source});
}

static void documents_that_do_not_fit_their_sources_are_refused(void **state)
{
    (void)state;
    scene *s = open_scene("mqa_short", GT_BACKEND_REF, GT_F32);
    gt_kv_source *kv = &s->paged[0];
    const gt_span_source source = {.kv = kv}, none = {0};
    assert_ok(one(s, 0, 3, &source));
    assert_fails(one(s, 4, 1, &source), GT_ERR_ARG, "1 tokens at position 4 do not continue a cache of 3 of 256");
    assert_fails(one(s, 2, 1, &source), GT_ERR_ARG, "do not continue");
    assert_fails(one(s, 3, 1, &none), GT_ERR_ARG, "document 0 begins at position 3, and no source has what is before");
    assert_fails(one(s, 3, 1, NULL), GT_ERR_ARG, "no source");
    kv->capacity = 5;
    assert_fails(one(s, 3, 3, &source), GT_ERR_ARG, "3 tokens at position 3 do not continue a cache of 3 of 5");
    kv->capacity = POSITIONS;
    s->page_table[0][1][2][1] = NULL;
    assert_ok(one(s, 3, 60, &source)); /* the page that is missing is not needed yet */
    assert_fails(one(s, 63, 2, &source), GT_ERR_ARG, "layer 2 has no memory for the keys and values of token 64");
    kv->page_tokens = 32;
    assert_fails(one(s, 63, 1, &source), GT_ERR_ARG, "pages of 32 tokens; expected a multiple of 64");
    assert_int_equal(kv->len, 63);
    close_scene(s);
}

static void two_documents_cannot_share_a_source(void **state)
{
    (void)state;
    scene *s = open_scene("mqa_short", GT_BACKEND_REF, GT_F32);
    static const int32_t ids[2], pos[2], begin[3] = {0, 1, 2};
    static const uint64_t sample[2];
    const gt_span_source source[2] = {{.kv = s->run}, {.kv = s->run}};
    const gt_batch b = {.n = 2, .ids = ids, .pos = pos, .docs = 2, .doc_begin = begin, .doc_sample = sample};
    const gt_forward_options o = {.source = source};
    assert_fails(gt_forward(s->model.m, &s->model.pass, &b, &o), GT_ERR_ARG, "documents 0 and 1 have one source");
    close_scene(s);
}

static void a_pass_takes_only_the_adapters_it_was_made_for(void **state)
{
    (void)state;
    scene *s = open_scene("mqa_short", GT_BACKEND_REF, GT_F32);
    s->model.pass.lora_rank = RANK - 1;
    assert_fails(one(s, 0, 1, &(gt_span_source){.lora = &s->lora[1]}), GT_ERR_ARG,
                 "an adapter of rank 6 in a pass that was made for ranks up to 5");
    s->model.pass.training = true;
    assert_fails(one(s, 0, 1, &(gt_span_source){.kv = s->run}), GT_ERR_ARG, "a training pass takes no documents");
    close_scene(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_ref_documents_whole_in_pieces_on_pages_and_together_have_the_same_bits),
        cmocka_unit_test(on_cpu_documents_together_are_those_alone_up_to_the_order_of_sums),
        cmocka_unit_test(on_cpu_in_bf16_they_differ_by_less_than_bf16_from_float32),
        cmocka_unit_test(on_cpu_pages_give_the_bits_of_one_run_up_to_127_keys),
        cmocka_unit_test(documents_that_do_not_fit_their_sources_are_refused),
        cmocka_unit_test(two_documents_cannot_share_a_source),
        cmocka_unit_test(a_pass_takes_only_the_adapters_it_was_made_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
