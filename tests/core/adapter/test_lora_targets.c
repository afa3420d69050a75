/* Which modules get an adapter: PEFT's rules (docs/model/lora.md section 3). */
#include "testing.h"

#include "lora_targets.h"

#include <math.h>
#include <string.h>

static gt_model_config model_of(int layers)
{
    return (gt_model_config){.vocab_size = 100,
                             .hidden_size = 64,
                             .intermediate_size = 128,
                             .num_hidden_layers = layers,
                             .num_attention_heads = 2,
                             .num_key_value_heads = 1,
                             .head_dim = 32};
}

static gt_lora_config names(char **item, size_t count)
{
    return (gt_lora_config){.r = 8, .alpha = 16, .targets = {.item = item, .count = count}};
}

static gt_lora_config regex(char **item)
{
    return (gt_lora_config){.r = 8, .alpha = 16, .targets = {item, 1, true}};
}

static void a_list_matches_by_suffix_and_counts_each_name(void **state)
{
    (void)state;
    gt_model_config m = model_of(18);
    char *item[] = {"q_proj", "k_proj", "r_proj", "out_proj"};
    gt_lora_config c = names(item, 4);
    static gt_lora_targets t;
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    assert_int_equal(t.modules, 36);
    assert_int_equal(t.hit[0], 18);
    assert_int_equal(t.hit[1], 18);
    assert_int_equal(t.hit[2], 0);
    assert_int_equal(t.hit[3], 0);
    assert_int_equal(t.rank[5 * GT_PROJ_COUNT + GT_K_PROJ], 8);
    assert_int_equal(t.rank[5 * GT_PROJ_COUNT + GT_V_PROJ], 0);
    assert_true(t.scaling[5 * GT_PROJ_COUNT + GT_K_PROJ] == 2.0f);
    gt_text text = {0};
    size_t missed;
    gt_lora_targets_describe(&text, &t, &c, &missed);
    assert_int_equal(missed, 2);
    assert_string_equal(text.data, "q_proj: 18 modules, k_proj: 18 modules, r_proj: NOTHING, out_proj: NOTHING");
    gt_text_free(&text);
}

static void a_name_must_be_whole_path_components(void **state)
{
    (void)state;
    gt_model_config m = model_of(3);
    static gt_lora_targets t;
    char *part[] = {"proj"}, *path[] = {"layers.1.self_attn.q_proj", "model.layers.2.mlp.up_proj"};
    gt_lora_config c = names(part, 1);
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "valid names: q_proj");
    c = names(path, 2);
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    assert_int_equal(t.modules, 2);
}

static void a_string_is_a_regular_expression_on_the_whole_path(void **state)
{
    (void)state;
    gt_model_config m = model_of(12);
    static gt_lora_targets t;
    char *item[] = {"model\\.layers\\.\\d\\.mlp\\.(up|down)_proj"}, *half[] = {"q_proj"}, *bad[] = {"(?!a).*"};
    gt_lora_config c = regex(item);
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    assert_int_equal(t.modules, 20); /* layers 0 ... 9 */
    c = regex(half);
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "no module");
    c = regex(bad);
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "look-around");
}

static void all_linear_is_the_seven_projections(void **state)
{
    (void)state;
    gt_model_config m = model_of(5);
    static gt_lora_targets t;
    gt_lora_config c = {.r = 4, .alpha = 4, .all_linear = true, .rslora = true};
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "language_model.model."));
    assert_int_equal(t.modules, 35);
    assert_true(t.scaling[0] == 2.0f); /* 4 / sqrt(4) */
}

static void exclusion_layers_and_patterns_apply(void **state)
{
    (void)state;
    gt_model_config m = model_of(6);
    static gt_lora_targets t;
    char *item[] = {"q_proj", "up_proj"}, *out[] = {"layers.1.self_attn.q_proj"}, *word[] = {"layers"},
         *other[] = {"h"};
    int layers[] = {1, 4};
    gt_lora_override rank[] = {{"layers.4.*", 2}, {"up_proj", 3}}, alpha[] = {{"up_proj", 9}};
    gt_lora_config c = names(item, 2);
    c.layers = layers;
    c.layer_count = 2;
    c.exclude = (gt_lora_names){out, 1, false};
    c.rank_pattern = rank;
    c.rank_patterns = 2;
    c.alpha_pattern = alpha;
    c.alpha_patterns = 1;
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    assert_int_equal(t.modules, 3);
    assert_int_equal(t.rank[1 * GT_PROJ_COUNT + GT_Q_PROJ], 0);
    assert_int_equal(t.rank[1 * GT_PROJ_COUNT + GT_UP_PROJ], 3);
    assert_int_equal(t.rank[4 * GT_PROJ_COUNT + GT_Q_PROJ], 2);
    assert_int_equal(t.rank[4 * GT_PROJ_COUNT + GT_UP_PROJ], 2);
    assert_true(t.scaling[4 * GT_PROJ_COUNT + GT_UP_PROJ] == 4.5f);
    c.layers_pattern = (gt_lora_names){word, 1, false};
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    c.layers_pattern = (gt_lora_names){other, 1, false};
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "no module");
    c = names(item, 2);
    c.exclude = (gt_lora_names){item, 2, false};
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "excluded");
    char *any[] = {".*"};
    c = regex(any);
    c.layers = layers;
    c.layer_count = 2;
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "list of target_modules");
}

static void layers_are_found_as_peft_finds_them(void **state)
{
    (void)state;
    gt_model_config m = model_of(6);
    static gt_lora_targets t;
    int layers[] = {1, 4};
    char *item[] = {"q_proj", "model.layers.5.mlp.up_proj"}, *rx[] = {"l.y+ers"}, *longer[] = {"model.layers"},
         *part[] = {"ayers"}, *bar[] = {"layers|h"}, *broken[] = {"(layers"};
    gt_lora_config c = names(item, 2);
    c.layers = layers;
    c.layer_count = 2;
    /* a path spelled out is meant whatever its layer */
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    assert_int_equal(t.modules, 3);
    assert_int_equal(t.rank[5 * GT_PROJ_COUNT + GT_UP_PROJ], 8);
    assert_int_equal(t.hit[0], 2);
    assert_int_equal(t.hit[1], 1);
    c.targets.count = 1;
    c.layers_pattern = (gt_lora_names){rx, 1, false};
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    assert_int_equal(t.modules, 2);
    c.layers_pattern = (gt_lora_names){longer, 1, false};
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, ""), GT_ERR_CONFIG, "no module");
    c.layers_pattern = (gt_lora_names){part, 1, false};
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "no module");
    c.layers_pattern = (gt_lora_names){bar, 1, false};
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "'|'");
    c.layers_pattern = (gt_lora_names){broken, 1, false};
    assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "not closed");
}

static void what_changes_nothing_is_told(void **state)
{
    (void)state;
    gt_model_config m = model_of(3);
    static gt_lora_targets t;
    char *item[] = {"q_proj", "k_proj"}, *out[] = {"v_proj"}, *some[] = {"layers.1.self_attn.k_proj"};
    int layers[] = {1, 3};
    gt_lora_override rank[] = {{".*q_proj", 2}, {"q_proj", 3}, {"up_proj", 4}}, alpha[] = {{"k_proj", 1}};
    gt_lora_config c = names(item, 2);
    c.rank_pattern = rank;
    c.rank_patterns = 3;
    c.alpha_pattern = alpha;
    c.alpha_patterns = 1;
    c.exclude = (gt_lora_names){out, 1, false};
    c.layers = layers;
    c.layer_count = 2;
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    gt_text text = {0};
    gt_lora_targets_idle(&text, &t, &c);
    assert_string_equal(text.data,
                        "rank_pattern: 'q_proj' sets nothing, no adapter's path is matched by it first; "
                        "rank_pattern: 'up_proj' sets nothing, no adapter's path is matched by it first; "
                        "layers_to_transform: 3 is no layer of this model (0 to 2); exclude_modules: excludes nothing");
    gt_text_clear(&text);
    c.rank_patterns = 1;
    c.layer_count = 0;
    c.exclude = (gt_lora_names){some, 1, false};
    assert_ok(gt_lora_targets_resolve(&t, &c, &m, "model."));
    gt_lora_targets_idle(&text, &t, &c);
    assert_int_equal(text.size, 0);
    gt_lora_targets_describe(&text, &t, &c, NULL);
    assert_string_equal(text.data, "q_proj: 3 modules, k_proj: 3 modules, 1 of them excluded, ranks 2 to 8");
    gt_text_free(&text);
}

static void hostile_ranks_are_refused(void **state)
{
    (void)state;
    gt_model_config m = model_of(2);
    static gt_lora_targets t;
    char *item[] = {"q_proj"};
    static const double bad[] = {0, -1, 1.5, 1e9, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gt_lora_override o = {"q_proj", bad[i]};
        gt_lora_config c = names(item, 1);
        c.rank_pattern = &o;
        c.rank_patterns = 1;
        assert_fails(gt_lora_targets_resolve(&t, &c, &m, "model."), GT_ERR_CONFIG, "rank");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_matches_by_suffix_and_counts_each_name),
        cmocka_unit_test(a_name_must_be_whole_path_components),
        cmocka_unit_test(a_string_is_a_regular_expression_on_the_whole_path),
        cmocka_unit_test(all_linear_is_the_seven_projections),
        cmocka_unit_test(exclusion_layers_and_patterns_apply),
        cmocka_unit_test(layers_are_found_as_peft_finds_them),
        cmocka_unit_test(what_changes_nothing_is_told),
        cmocka_unit_test(hostile_ranks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
