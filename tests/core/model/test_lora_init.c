/* How fresh adapters begin: PEFT's three ways (docs/model/lora.md section 1), and from what the values depend. */
#include "testing.h"

#include "lora.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 3, IN = 256, WIDE = 512 };

static const gt_model_config model = {.vocab_size = 100,
                                      .hidden_size = IN,
                                      .intermediate_size = WIDE,
                                      .num_hidden_layers = LAYERS,
                                      .num_attention_heads = 4,
                                      .num_key_value_heads = 1,
                                      .head_dim = 64};

static gt_lora *made(gt_init_lora init, uint64_t seed)
{
    static int rank[LAYERS * GT_PROJ_COUNT];
    static float scaling[LAYERS * GT_PROJ_COUNT];
    rank[0 * GT_PROJ_COUNT + GT_Q_PROJ] = 16;
    rank[1 * GT_PROJ_COUNT + GT_Q_PROJ] = 16;
    rank[2 * GT_PROJ_COUNT + GT_DOWN_PROJ] = 4;
    gt_lora *l = calloc(1, sizeof *l);
    assert_non_null(l);
    gt_lora_layout(l, &model, rank, scaling);
    l->param = malloc(l->count * sizeof *l->param);
    assert_non_null(l->param);
    memset(l->param, 0xff, l->count * sizeof *l->param);
    gt_lora_init(l, &model, seed, init);
    return l;
}

static void release(gt_lora *l)
{
    free(l->param);
    free(l);
}

typedef struct {
    double mean, deviation, low, high;
} moments;

static moments of(const float *x, size_t n)
{
    moments m = {.low = x[0], .high = x[0]};
    for (size_t i = 0; i < n; i++) {
        m.mean += x[i] / (double)n;
        m.low = fmin(m.low, x[i]);
        m.high = fmax(m.high, x[i]);
    }
    for (size_t i = 0; i < n; i++) m.deviation += (x[i] - m.mean) * (x[i] - m.mean) / (double)n;
    m.deviation = sqrt(m.deviation);
    return m;
}

/* Uniform in +-bound: the deviation is bound / sqrt(3), and the ends are nearly reached. */
static void is_uniform(const float *x, size_t n, double bound)
{
    const moments m = of(x, n);
    assert_true(fabs(m.mean) < 4 * bound / sqrt(3.0 * (double)n));
    assert_true(fabs(m.deviation / (bound / sqrt(3.0)) - 1) < 0.05);
    assert_true(m.low >= -bound && m.low < -0.98 * bound && m.high <= bound && m.high > 0.98 * bound);
}

static void is_zero(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) assert_true(x[i] == 0);
}

static void each_word_of_init_lora_weights_begins_as_in_peft(void **state)
{
    (void)state;
    gt_lora *l = made(GT_INIT_KAIMING, 7);
    is_uniform(l->param + l->slot[0][GT_Q_PROJ].a, 16 * IN, 1 / sqrt(IN));
    is_zero(l->param + l->slot[0][GT_Q_PROJ].b, 16 * IN);
    is_uniform(l->param + l->slot[2][GT_DOWN_PROJ].a, 4 * WIDE, 1 / sqrt(WIDE));
    release(l);
    l = made(GT_INIT_GAUSSIAN, 7);
    const moments m = of(l->param + l->slot[0][GT_Q_PROJ].a, 16 * IN);
    assert_true(fabs(m.mean) < 4 / 16.0 / sqrt(16 * IN) && fabs(m.deviation * 16 - 1) < 0.05 && m.high > 3 / 16.0);
    is_zero(l->param + l->slot[2][GT_DOWN_PROJ].b, 4 * IN);
    release(l);
    l = made(GT_INIT_RANDOM, 7);
    is_uniform(l->param + l->slot[0][GT_Q_PROJ].a, 16 * IN, 1 / sqrt(IN));
    is_uniform(l->param + l->slot[0][GT_Q_PROJ].b, 16 * IN, 1 / sqrt(16));
    is_uniform(l->param + l->slot[2][GT_DOWN_PROJ].b, 4 * IN, 1 / sqrt(4));
    release(l);
}

static void values_depend_on_seed_and_module(void **state)
{
    (void)state;
    for (int init = GT_INIT_KAIMING; init <= GT_INIT_RANDOM; init++) {
        gt_lora *a = made((gt_init_lora)init, 7), *same = made((gt_init_lora)init, 7),
                *other = made((gt_init_lora)init, 8);
        const size_t first = a->slot[0][GT_Q_PROJ].a, second = a->slot[1][GT_Q_PROJ].a;
        assert_memory_equal(a->param, same->param, a->count * sizeof(float));
        assert_memory_not_equal(a->param + first, other->param + first, 16 * sizeof(float));
        assert_memory_not_equal(a->param + first, a->param + second, 16 * sizeof(float));
        const size_t b0 = a->slot[0][GT_Q_PROJ].b, b1 = a->slot[1][GT_Q_PROJ].b;
        if (init == GT_INIT_RANDOM) assert_memory_not_equal(a->param + b0, a->param + b1, 16 * sizeof(float));
        release(a), release(same), release(other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_of_init_lora_weights_begins_as_in_peft),
        cmocka_unit_test(values_depend_on_seed_and_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
