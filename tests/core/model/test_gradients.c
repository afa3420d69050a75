/* The adapter's gradients against central differences of the loss in float64, on the plain backend: a model with every
 * awkward shape at once (odd head dimension halves, window below the length, two query heads a key head, H != heads *
 * d, two documents in one pass, labels missing at both ends), with and without dropout. */
#include "backward.h"
#include "rng.h"
#include "testing.h"
#include "tiny.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { H = 10, D = 6, HEADS = 4, KV = 2, F = 14, V = 23, LAYERS = 3, R = 3, T0 = 9, T1 = 5, T = T0 + T1 };

static double *random_block(size_t n, double scale, uint64_t seed)
{
    double *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = scale * (2 * gt_rng_uniform(seed, i) - 1);
    return x;
}

static float *random_factors(int n, uint64_t seed)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < n; i++) x[i] = (float)(1 + 0.3 * (2 * gt_rng_uniform(seed, (uint64_t)i) - 1));
    return x;
}

static gt_weights *make_weights(void)
{
    gt_weights *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->config = (gt_model_config){.vocab_size = V,
                                  .hidden_size = H,
                                  .intermediate_size = F,
                                  .num_hidden_layers = LAYERS,
                                  .num_attention_heads = HEADS,
                                  .num_key_value_heads = KV,
                                  .head_dim = D,
                                  .sliding_window = 4,
                                  .max_position_embeddings = 64,
                                  .rms_norm_eps = 1e-6f,
                                  .query_pre_attn_scalar = 7,
                                  .rope_theta = 1e6,
                                  .rope_local_base_freq = 1e4,
                                  .rope_factor = 8,
                                  .layer_is_full = {0, 1, 0}};
    w->embed = (gt_matrix){.data = random_block(V * H, 0.5, 1), .dtype = GT_F64, .rows = V, .cols = H};
    for (int l = 0; l < LAYERS; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            gt_matrix *m = &w->proj[l][p];
            gt_proj_shape(&w->config, (gt_proj)p, &m->rows, &m->cols);
            m->dtype = GT_F64;
            m->data = random_block((size_t)m->rows * (size_t)m->cols, 0.5, 100 + (uint64_t)(l * 10 + p));
        }
        for (int i = 0; i < GT_NORM_COUNT; i++)
            w->norm[l][i] = random_factors(i == GT_Q_NORM || i == GT_K_NORM ? D : H, 300 + (uint64_t)(l * 10 + i));
    }
    w->final_norm = random_factors(H, 2);
    return w;
}

static void free_weights(gt_weights *w)
{
    free((void *)(uintptr_t)w->embed.data);
    for (int l = 0; l < LAYERS; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) free((void *)(uintptr_t)w->proj[l][p].data);
        for (int i = 0; i < GT_NORM_COUNT; i++) free(w->norm[l][i]);
    }
    free(w->final_norm);
    free(w);
}

typedef struct {
    gt_weights *w;
    gt_lora lora;
    gt_arena arena;
    tiny_run run;
    gt_batch batch;
    bool few; /* the last layer's end for the targets' rows alone */
} scene;

static void open_scene(scene *s, double dropout, gt_keep keep, gt_dtype act)
{
    memset(s, 0, sizeof *s);
    s->w = make_weights();
    int ranks[LAYERS * GT_PROJ_COUNT];
    float scalings[LAYERS * GT_PROJ_COUNT];
    for (int i = 0; i < LAYERS * GT_PROJ_COUNT; i++) {
        ranks[i] = i < GT_PROJ_COUNT ? 0 : R; /* none in layer 0: the backward ends early */
        scalings[i] = 0.7f;
    }
    gt_lora_layout(&s->lora, &s->w->config, ranks, scalings);
    s->lora.dropout = (float)dropout;
    s->lora.dropout_key = 99;
    gt_arena plan;
    gt_arena_measure(&plan);
    gt_lora_carve(&s->lora, &plan, act);
    assert_ok(gt_arena_create(&s->arena, plan.used));
    gt_lora_carve(&s->lora, &s->arena, act);
    fill_random(s->lora.param, s->lora.count, 5);
    tiny_open(&s->run, s->w, GT_BACKEND_REF, act, 2, &s->lora,
              &(gt_pass_options){.max_tokens = T, .max_documents = 2, .head_rows = 4, .training = true, .keep = keep},
              32);
    assert_ok(gt_lora_refresh(&s->lora, s->run.m->k, &s->run.m->x));
    static int32_t ids[2][T0];
    static uint8_t label[2][T0];
    gt_sample sample[2] = {{.ids = ids[0], .label = label[0], .n = T0, .row = 7},
                           {.ids = ids[1], .label = label[1], .n = T1, .row = 8}};
    for (int d = 0; d < 2; d++)
        for (int i = 0; i < sample[d].n; i++) {
            ids[d][i] = (int32_t)gt_rng_below(77, (uint64_t)(d * 50 + i), V);
            label[d][i] = i >= 2 && i < sample[d].n - (d == 0);
        }
    const gt_sample *both[2] = {&sample[0], &sample[1]};
    assert_ok(gt_batch_build(&s->batch, both, 2));
}

static void close_scene(scene *s)
{
    gt_batch_free(&s->batch);
    tiny_close(&s->run);
    gt_arena_free(&s->arena);
    free_weights(s->w);
}

static double loss(scene *s, bool with_gradient)
{
    gt_loss_sum sum;
    const gt_forward_options o = {.targets_only = s->few, .dropout = true, .epoch = 3};
    assert_ok(gt_forward(s->run.m, &s->run.pass, &s->batch, &o));
    assert_ok(gt_forward_loss(s->run.m, &s->run.pass, &s->batch, with_gradient, &sum, NULL, NULL));
    return sum.loss;
}

static float *gradient(scene *s)
{
    float *g = calloc(s->lora.count, sizeof *g);
    assert_non_null(g);
    loss(s, true);
    assert_ok(gt_backward(s->run.m, &s->run.pass, &s->batch, g));
    return g;
}

static void compare(double dropout, bool few)
{
    scene s;
    open_scene(&s, dropout, GT_KEEP_INPUTS, GT_F64);
    s.few = few;
    float *g = gradient(&s);
    double *act = s.lora.act, worst = 0, largest = 0;
    for (size_t i = 0; i < s.lora.count; i++) largest = fmax(largest, fabs((double)g[i]));
    for (size_t i = 0; i < s.lora.count; i++) {
        const double kept = act[i], step = 1e-5;
        act[i] = kept + step;
        const double up = loss(&s, false);
        act[i] = kept - step;
        const double down = loss(&s, false);
        act[i] = kept;
        worst = fmax(worst, fabs((up - down) / (2 * step) - (double)g[i]));
    }
    print_message("dropout %.1f: %zu gradients, largest %.3f, worst difference %.2e\n", dropout, s.lora.count, largest,
                  worst);
    /* Gradients of the residual stream and of the adapter are float32 sums (2^-24 of the largest, some tens of terms);
     * the difference quotient itself is good to 1e-9. */
    assert_true(worst <= 5e-6 * largest);
    free(g);
    close_scene(&s);
}

static void gradients_are_the_slope_of_the_loss(void **state)
{
    (void)state;
    compare(0, false);
    compare(0.3, false);
    compare(0, true);
    compare(0.3, true);
}

static void every_way_of_keeping_activations_gives_the_same_bits(void **state)
{
    (void)state;
    static const gt_dtype act[] = {GT_F32, GT_BF16};
    for (int a = 0; a < 2; a++) {
        float *first = NULL;
        size_t count = 0;
        for (int keep = 0; keep < 3; keep++) {
            scene s;
            open_scene(&s, 0.3, (gt_keep)keep, act[a]);
            float *g = gradient(&s);
            count = s.lora.count;
            if (!first)
                first = g;
            else {
                assert_memory_equal(first, g, count * sizeof *g);
                free(g);
            }
            close_scene(&s);
        }
        free(first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slope_of_the_loss),
        cmocka_unit_test(every_way_of_keeping_activations_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
