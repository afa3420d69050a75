/* test_recipe.c - recipes: defaults, every kind of wrong value, sets, resume, and docs/recipe.md against the table. */
#include "testing.h"

#include "fs.h"
#include "recipe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gt_status parse(gt_recipe *r, const char *text)
{
    return gt_recipe_parse(r, text, strlen(text), "r.json", NULL, 0);
}

static gt_status parse_set(gt_recipe *r, const char *text, const char *key, const char *value)
{
    gt_recipe_set s = {key, value, "--set"};
    return gt_recipe_parse(r, text, strlen(text), "r.json", &s, 1);
}

static void refuses(const char *text, const char *words)
{
    gt_recipe r;
    memset(&r, 0x5a, sizeof r);
    gt_recipe before = r;
    assert_fails(parse(&r, text), GT_ERR_CONFIG, words);
    assert_memory_equal(&r, &before, sizeof r); /* untouched */
    assert_non_null(strstr(gt_error_last()->message, "r.json"));
}

static void an_empty_recipe_has_the_defaults_of_trl(void **state)
{
    (void)state;
    gt_recipe r;
    assert_ok(parse(&r, "{}"));
    assert_int_equal(r.lora_r, 16);
    assert_true(r.lora_alpha == 32 && r.lora_dropout == 0.05);
    assert_int_equal(r.lora_target_modules.names.count, 2);
    assert_int_equal(r.max_length, 1024);
    assert_int_equal(r.per_device_train_batch_size, 8);
    assert_int_equal(r.gradient_accumulation_steps, 1);
    assert_int_equal(r.gradient_checkpointing, GT_CKPT_FULL);
    assert_true(r.learning_rate == 2e-5 && r.num_train_epochs == 3.0 && r.max_grad_norm == 1.0);
    assert_int_equal(r.lr_scheduler_type, GT_LR_LINEAR);
    assert_int_equal(r.max_steps, -1);
    assert_int_equal(r.seed, 42);
    assert_int_equal(r.data_seed, 42);
    assert_true(r.logging_steps == 10 && r.save_steps == 500 && r.save_minutes == 10 && r.eval_steps == 10);
    assert_int_equal(r.eval_strategy, GT_EVERY_NO);
    assert_int_equal(r.save_total_limit, 0);
    assert_int_equal(r.compute_dtype, GT_COMPUTE_BF16);
    assert_int_equal(r.base_dtype, GT_BASE_NATIVE);
    assert_true(r.bnb_4bit_use_double_quant && r.shuffle && r.tensorboard && !r.packing && !r.load_in_4bit);
    assert_int_equal(r.completion_only_loss, GT_LOSS_DATASET);
    assert_int_equal(r.accumulation_scope, GT_SCOPE_GLOBAL);
    assert_string_equal(r.output_dir, "trainer_output");
    assert_true(isnan(r.lr_scheduler_kwargs.num_cycles));
    assert_int_equal(r.warnings.count, 0);
    assert_fails(gt_recipe_check_train(&r, "r.json"), GT_ERR_CONFIG, "model_name_or_path");
    gt_recipe_free(&r);
}

static void keys_of_all_three_libraries_are_read(void **state)
{
    (void)state;
    gt_recipe r;
    refuses("{\"max_seq_length\": 77, \"max_length\": null}", "are the same key");
    assert_ok(parse(&r,
                    "{\"model_name_or_path\": \"m\", \"train_files\": \"a.jsonl\", \"eval_files\": [\"b\", \"c\"],"
                    "\"load_in_4bit\": true, \"r\": 4, \"target_modules\": [\"q_proj\", \"k_proj\"],"
                    "\"use_rslora\": true, \"max_seq_length\": 77, \"evaluation_strategy\": \"epoch\","
                    "\"gradient_checkpointing\": \"gate_up\", \"lr_scheduler_type\": \"cosine_with_min_lr\","
                    "\"lr_scheduler_kwargs\": {\"min_lr_rate\": 0.1}, \"warmup_steps\": 0.1, \"bf16\": false,"
                    "\"optim\": \"paged_adamw_32bit\", \"dataloader_num_workers\": 4, \"report_to\": [\"wandb\"]}"));
    assert_ok(gt_recipe_check_train(&r, "r.json"));
    assert_int_equal(r.base_dtype, GT_BASE_NF4);
    assert_int_equal(r.lora_r, 4);
    assert_string_equal(r.lora_target_modules.names.item[1], "k_proj");
    assert_null(r.lora_target_modules.regex);
    assert_int_equal(r.max_length, 77);
    assert_int_equal(r.eval_strategy, GT_EVERY_EPOCH);
    assert_int_equal(r.eval_files.count, 2);
    assert_int_equal(r.gradient_checkpointing, GT_CKPT_GATE_UP);
    assert_true(r.lr_scheduler_kwargs.min_lr_rate == 0.1 && isnan(r.lr_scheduler_kwargs.min_lr));
    assert_int_equal(r.compute_dtype, GT_COMPUTE_F32);
    assert_int_equal(gt_recipe_warmup(&r, 101), 11);
    assert_int_equal(r.warnings.count, 3);
    assert_non_null(strstr(r.warnings.item[0], "paged_adamw_32bit"));
    assert_non_null(strstr(r.warnings.item[1], "dataloader_num_workers: 4 has no effect"));
    assert_non_null(strstr(r.warnings.item[2], "wandb"));
    gt_recipe_free(&r);
}

static void targets_are_a_list_all_linear_or_a_regex(void **state)
{
    (void)state;
    gt_recipe r;
    assert_ok(parse(&r, "{\"lora_target_modules\": \"All-Linear\"}"));
    assert_true(r.lora_target_modules.all_linear);
    gt_recipe_free(&r);
    assert_ok(parse(&r, "{\"lora_target_modules\": \".*\\\\.[0-3]\\\\.self_attn\\\\..*\"}"));
    assert_string_equal(r.lora_target_modules.regex, ".*\\.[0-3]\\.self_attn\\..*");
    assert_int_equal(r.lora_target_modules.names.count, 0);
    gt_recipe_free(&r);
    refuses("{\"lora_target_modules\": []}", "lora_target_modules");
    refuses("{\"lora_target_modules\": [1]}", "lora_target_modules is [1]");
    refuses("{\"lora_target_modules\": [\"q_proj\"], \"target_modules\": [\"q_proj\"]}", "are the same key");
}

static void patterns_layers_and_exclusions_reach_the_adapters_config(void **state)
{
    (void)state;
    gt_recipe r;
    assert_ok(parse(&r,
                    "{\"target_modules\": [\"q_proj\", \"up_proj\"], \"exclude_modules\": [\"layers.1.mlp.up_proj\"],"
                    "\"layers_to_transform\": [0, 511, 3], \"layers_pattern\": \"layers\","
                    "\"rank_pattern\": {\"up_proj\": 2, \"^model\\\\.layers\\\\.3\\\\..*\": 4096, \"q\": 1.0},"
                    "\"alpha_pattern\": {\"q_proj|up_proj\": 0.5}, \"init_lora_weights\": false}"));
    gt_lora_config c = gt_recipe_lora(&r);
    assert_int_equal(c.targets.count, 2);
    assert_false(c.targets.is_regex || c.all_linear || c.exclude.is_regex);
    assert_int_equal(c.exclude.count, 1);
    assert_string_equal(c.exclude.item[0], "layers.1.mlp.up_proj");
    assert_int_equal(c.layer_count, 3);
    assert_int_equal(c.layers[1], 511);
    assert_string_equal(c.layers_pattern.item[0], "layers");
    assert_int_equal(c.rank_patterns, 3); /* in the file's order, not the alphabet's */
    assert_string_equal(c.rank_pattern[0].pattern, "up_proj");
    assert_string_equal(c.rank_pattern[1].pattern, "^model\\.layers\\.3\\..*");
    assert_true(c.rank_pattern[1].value == 4096 && c.rank_pattern[2].value == 1);
    assert_int_equal(c.alpha_patterns, 1);
    assert_true(c.alpha_pattern[0].value == 0.5);
    assert_int_equal(c.init, GT_INIT_RANDOM);
    gt_recipe_free(&r);

    assert_ok(parse(&r, "{\"layers_to_transform\": 7, \"exclude_modules\": \".*\\\\.0\\\\..*\"}"));
    c = gt_recipe_lora(&r);
    assert_int_equal(c.layer_count, 1);
    assert_int_equal(c.layers[0], 7);
    assert_true(c.exclude.is_regex && c.exclude.count == 1);
    gt_recipe_free(&r);

    /* what is empty asks for nothing */
    assert_ok(parse(
        &r, "{\"layers_to_transform\": [], \"exclude_modules\": [], \"rank_pattern\": null, \"layers_pattern\": []}"));
    c = gt_recipe_lora(&r);
    assert_true(c.layer_count == 0 && c.exclude.count == 0 && c.rank_patterns == 0 && c.layers_pattern.count == 0);
    gt_recipe_free(&r);
    assert_ok(parse(&r, "{\"layers_to_transform\": null, \"exclude_modules\": \"\", \"layers_pattern\": null}"));
    assert_int_equal(gt_recipe_lora(&r).exclude.count, 0);
    gt_recipe_free(&r);
    assert_ok(parse_set(&r, "{\"rank_pattern\": {\"k_proj\": 3}}", "rank_pattern", "{\"q_proj\": 4}"));
    assert_int_equal(r.rank_pattern.count, 1);
    assert_string_equal(r.rank_pattern.item[0].pattern, "q_proj");
    gt_recipe_free(&r);
}

static void hostile_patterns_layers_and_exclusions_are_refused(void **state)
{
    (void)state;
    static const char ranks[] = "allowed: an object of regular expressions for ends of module paths, each with a whole "
                                "number from 1 to 4096";
    refuses("{\"rank_pattern\": {\"q_proj\": 0}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": 0}}", "rank_pattern is {\"q_proj\": 0}");
    refuses("{\"rank_pattern\": {\"q_proj\": -4}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": 4097}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": 1e18}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": 1.5}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": \"4\"}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": true}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": null}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": [4]}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": {\"r\": 4}}}", ranks);
    refuses("{\"rank_pattern\": {\"q_proj\": 4, \"q_proj\": 8}}", "appears twice");
    refuses("{\"rank_pattern\": [[\"q_proj\", 4]]}", ranks);
    refuses("{\"rank_pattern\": 4}", ranks);
    refuses("{\"rank_pattern\": \"q_proj\"}", ranks);
    refuses("{\"rank_pattern\": {\"\": 4}}", "an empty pattern");
    refuses("{\"rank_pattern\": {\"a\\u0000b\": 4}}", "U+0000");
    refuses("{\"rank_pattern\": {\"q_(\": 4}}", "not closed");
    refuses("{\"rank_pattern\": {\"a)(b\": 4}}", "')'");
    refuses("{\"rank_pattern\": {\"(?!q)\": 4}}", "look-around");
    refuses("{\"rank_pattern\": {\"((a{1000}){1000}){1000}\": 4}}", "too large");
    refuses("{\"alpha_pattern\": {\"q_proj\": 0}}", "each with a number from 1e-06 to 1000000");
    refuses("{\"alpha_pattern\": {\"q_proj\": -1}}", "alpha_pattern is {\"q_proj\": -1}");
    refuses("{\"alpha_pattern\": {\"q_proj\": 1e7}}", "alpha_pattern");
    refuses("{\"alpha_pattern\": {\"q_proj\": \"x\"}}", "alpha_pattern");
    refuses("{\"alpha_pattern\": {\"*\": 1}}", "nothing to repeat");
    refuses("{\"layers_to_transform\": -1}", "layers_to_transform is -1; allowed: a layer's number from 0 to 511");
    refuses("{\"layers_to_transform\": 512}", "layers_to_transform is 512");
    refuses("{\"layers_to_transform\": [0, 1e300]}", "layers_to_transform");
    refuses("{\"layers_to_transform\": [0, 0.5]}", "layers_to_transform");
    refuses("{\"layers_to_transform\": [0, [1]]}", "layers_to_transform");
    refuses("{\"layers_to_transform\": [true]}", "layers_to_transform");
    refuses("{\"layers_to_transform\": \"0\"}", "layers_to_transform is \"0\"");
    refuses("{\"layers_to_transform\": {\"0\": 1}}", "layers_to_transform");
    refuses("{\"layers_pattern\": \"layers\"}", "without layers_to_transform");
    refuses("{\"layers_pattern\": [7], \"layers_to_transform\": 0}", "layers_pattern is [7]");
    refuses("{\"layers_pattern\": [\"\"], \"layers_to_transform\": 0}", "layers_pattern is [\"\"]");
    refuses("{\"layers_pattern\": \"layers|h\", \"layers_to_transform\": 0}", "'|'");
    refuses("{\"layers_to_transform\": 0, \"target_modules\": \"all-linear\"}", "all-linear");
    refuses("{\"layers_to_transform\": 0, \"target_modules\": \".*q_proj\"}", "regular expression");
    refuses("{\"exclude_modules\": 7}",
            "exclude_modules is 7; allowed: a list of module names, or a regular expression");
    refuses("{\"exclude_modules\": [\"q_proj\", null]}", "exclude_modules");
    refuses("{\"exclude_modules\": [\"\"]}", "exclude_modules");
    refuses("{\"exclude_modules\": {\"q_proj\": true}}", "exclude_modules");
    refuses("{\"exclude_modules\": \"a\\u0000\"}", "exclude_modules");
    refuses("{\"exclude_modules\": \"[a\"}", "exclude_modules is \"[a\"");
    refuses("{\"target_modules\": \"(a\"}", "lora_target_modules is \"(a\"");
    refuses("{\"target_modules\": \"\"}", "lora_target_modules is \"\"");
}

/* A list of each kind, one longer than allowed. */
static void lists_without_end_are_refused(void **state)
{
    (void)state;
    gt_text names = {0}, patterns = {0}, layers = {0};
    for (int i = 0; i <= GT_LORA_MAX_NAMES; i++) {
        const char *comma = i ? "," : "";
        gt_text_addf(&names, "%s\"m%d\"", comma, i);
        gt_text_addf(&patterns, "%s\"m%d\":1", comma, i);
        gt_text_addf(&layers, "%s%d", comma, i % 512);
    }
    struct {
        const char *key, *open, *close;
        const gt_text *list;
    } keys[] = {{"lora_target_modules", "[", "]", &names},
                {"exclude_modules", "[", "]", &names},
                {"rank_pattern", "{", "}", &patterns},
                {"alpha_pattern", "{", "}", &patterns},
                {"layers_to_transform", "[", "]", &layers}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        gt_text text = {0};
        gt_text_addf(&text, "{\"%s\": %s%s%s}", keys[i].key, keys[i].open, keys[i].list->data, keys[i].close);
        refuses(text.data, keys[i].key);
        gt_text_free(&text);
    }
    gt_text_free(&names), gt_text_free(&patterns), gt_text_free(&layers);
}

static void starts_that_change_the_base_or_need_data_are_refused_by_name(void **state)
{
    (void)state;
    refuses("{\"init_lora_weights\": \"pissa\"}",
            "init_lora_weights is \"pissa\"; allowed: true, false or \"gaussian\"; PiSSA");
    refuses("{\"init_lora_weights\": \"pissa_niter_16\"}", "PiSSA takes the start");
    refuses("{\"init_lora_weights\": \"OLoRA\"}", "OLoRA takes the start");
    refuses("{\"init_lora_weights\": \"loftq\"}", "before quantization");
    refuses("{\"init_lora_weights\": \"eva\"}", "activations");
    refuses("{\"init_lora_weights\": \"corda\"}", "activations");
    refuses("{\"init_lora_weights\": \"lora_ga\"}", "gradient");
    refuses("{\"init_lora_weights\": \"orthogonal\"}", "not here");
    refuses("{\"init_lora_weights\": \"mica\"}", "MiCA");
    refuses("{\"init_lora_weights\": \"kaiming\"}", "allowed: true, false or \"gaussian\"");
    refuses("{\"init_lora_weights\": 0}", "allowed: true, false or \"gaussian\"");
    refuses("{\"init_lora_weights\": \"false\"}", "init_lora_weights is \"false\"");
}

static void an_unknown_key_suggests_the_nearest(void **state)
{
    (void)state;
    refuses("{\"lora_rank\": 8}", "unknown key 'lora_rank'");
    refuses("{\"learning_rat\": 8}", "did you mean 'learning_rate'?");
    refuses("{\"gradient_acumulation_steps\": 8}", "did you mean 'gradient_accumulation_steps'?");
    refuses("{\"lora_target_modlues\": 8}", "did you mean 'lora_target_modules'?");
    refuses("{\"completely_else_and_far\": 8}", "docs/recipe.md");
    assert_string_equal(gt_recipe_key_nearest("Learning_Rate"), "learning_rate");
}

static void a_wrong_type_or_value_names_key_value_and_range(void **state)
{
    (void)state;
    refuses("{\"lora_r\": 0}", "lora_r is 0; allowed: a whole number from 1 to 4096");
    refuses("{\"lora_r\": 1.5}", "lora_r is 1.5; allowed: a whole number");
    refuses("{\"lora_r\": \"8\"}", "lora_r is \"8\"; allowed: a whole number");
    refuses("{\"lora_r\": true}", "lora_r is true");
    refuses("{\"lora_r\": 1e400}", "r.json");
    refuses("{\"lora_dropout\": 1}", "lora_dropout is 1; allowed: a number from 0 to below 1");
    refuses("{\"learning_rate\": -1e-5}", "learning_rate is -1e-05");
    refuses("{\"learning_rate\": null}", "learning_rate is null");
    refuses("{\"packing\": 1}", "packing is 1; allowed: true or false");
    refuses("{\"packing\": \"yes\"}", "packing is \"yes\"");
    refuses("{\"optim\": \"adamw_bnb_8bit\"}", "\"adamw_torch\"");
    refuses("{\"lr_scheduler_type\": \"cosin\"}", "\"cosine\"");
    refuses("{\"gradient_checkpointing\": \"half\"}", "\"gate_up\"");
    refuses("{\"gradient_checkpointing\": \"true\"}", "gradient_checkpointing is \"true\"");
    refuses("{\"output_dir\": \"\"}", "output_dir is \"\"");
    refuses("{\"output_dir\": \"a\\u0000b\"}", "output_dir");
    gt_recipe r;
    assert_fails(parse_set(&r, "{}", "output_dir", "\"a\\u0000b\""), GT_ERR_CONFIG, "U+0000");
    refuses("{\"train_files\": {\"a\": 1}}", "a string or a list of strings");
    refuses("{\"lr_scheduler_kwargs\": {\"cycles\": 1}}", "num_cycles");
    refuses("{\"seed\": -1}", "seed is -1");
    refuses("{\"seed\": 4294967296}", "seed is 4294967296");
}

static void what_is_no_flat_object_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "[]",
                                        "1",
                                        "{",
                                        "{\"seed\": 1}x",
                                        "{\"seed\": 1, \"seed\": 1}",
                                        "{\"seed\": 01}",
                                        "{\"seed\": 1,}",
                                        "\xff",
                                        "null",
                                        "{\"\\u0000\": 1}",
                                        "{\"output_dir\": \"\xc0\x80\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) refuses(texts[i], "r.json");
}

static void refused_keys_name_reason_and_remedy(void **state)
{
    (void)state;
    gt_recipe r;
    refuses("{\"fp16\": true}", "use bf16");
    refuses("{\"use_dora\": true}", "DoRA");
    refuses("{\"load_in_8bit\": true}", "load_in_4bit");
    refuses("{\"bnb_4bit_quant_type\": \"fp4\"}", "nf4");
    refuses("{\"resume_from_checkpoint\": \"x\"}", "--resume");
    refuses("{\"deepspeed\": \"zero3.json\"}", "mpirun");
    refuses("{\"use_peft\": false}", "accepted: true");
    refuses("{\"hub_token\": \"hf_secret\"}", "hub_token");
    assert_null(strstr(gt_error_last()->message, "hf_secret"));
    assert_ok(parse(&r,
                    "{\"fp16\": false, \"use_dora\": false, \"deepspeed\": null, \"fsdp\": \"\", \"rank_pattern\": {},"
                    "\"use_peft\": true, \"push_to_hub\": false, \"padding_free\": true, \"modules_to_save\": []}"));
    assert_int_equal(r.warnings.count, 0);
    gt_recipe_free(&r);
}

static void keys_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    refuses("{\"packing\": true, \"max_length\": null}", "max_length");
    refuses("{\"load_in_4bit\": true, \"base_dtype\": \"bf16\"}", "base_dtype");
    refuses("{\"bf16\": true, \"compute_dtype\": \"float32\"}", "compute_dtype");
    refuses("{\"eval_strategy\": \"steps\"}", "eval_files");
    refuses("{\"eval_on_start\": true}", "eval_files");
    refuses("{\"save_steps\": 0}", "save_strategy");
    refuses("{\"logging_steps\": 2.5}", "logging_steps is 2.5");
    refuses("{\"warmup_steps\": 2.5}", "warmup_steps is 2.5");
    refuses("{\"lr_scheduler_type\": \"cosine_with_min_lr\"}", "min_lr");
    refuses("{\"lr_scheduler_kwargs\": {\"power\": 2}}", "polynomial");
    refuses("{\"lr_scheduler_type\": \"polynomial\", \"learning_rate\": 1e-8}", "lr_end");
}

static void sets_outrank_the_file(void **state)
{
    (void)state;
    gt_recipe r;
    assert_ok(parse_set(&r, "{\"lora_r\": 8}", "lora_r", "32"));
    assert_int_equal(r.lora_r, 32);
    gt_recipe_free(&r);
    assert_ok(parse_set(&r, "{\"target_modules\": [\"q_proj\"]}", "lora_target_modules", "[\"o_proj\"]"));
    assert_string_equal(r.lora_target_modules.names.item[0], "o_proj");
    gt_recipe_free(&r);
    assert_ok(parse_set(&r, "{}", "output_dir", "1234")); /* text stays text */
    assert_string_equal(r.output_dir, "1234");
    gt_recipe_free(&r);
    assert_ok(parse_set(&r, "{\"bf16\": true}", "compute_dtype", "float32"));
    assert_int_equal(r.compute_dtype, GT_COMPUTE_F32);
    assert_int_equal(r.bf16, 0);
    gt_recipe_free(&r);
    assert_ok(parse_set(&r, "{\"load_in_4bit\": true}", "base_dtype", "native"));
    assert_false(r.load_in_4bit);
    gt_recipe_free(&r);
    assert_ok(parse_set(&r, "{\"max_length\": 5}", "max_length", "null"));
    assert_int_equal(r.max_length, 0);
    gt_recipe_free(&r);
    assert_fails(parse_set(&r, "{}", "lora_r", "0"), GT_ERR_CONFIG, "--set: lora_r is 0");
    assert_fails(parse_set(&r, "{}", "lora_rr", "1"), GT_ERR_CONFIG, "did you mean 'lora_r'?");
    assert_fails(parse_set(&r, "{}", "packing", "True"), GT_ERR_CONFIG, "packing is \"True\"");
    assert_fails(parse_set(&r, "{}", "output_dir", "\xff"), GT_ERR_CONFIG, "UTF-8");
}

static const char full[] =
    "{\"model_name_or_path\": \"모델\", \"train_files\": [\"a\\\"b\"], \"eval_files\": \"e\", \"load_in_4bit\": true,"
    "\"learning_rate\": 0.0003, \"lr_scheduler_type\": \"cosine_with_restarts\", \"lr_scheduler_kwargs\": "
    "{\"num_cycles\": 3},"
    "\"warmup_ratio\": 0.03, \"lora_target_modules\": \"all-linear\", \"save_total_limit\": 3, \"max_length\": null,"
    "\"metric_for_best_model\": \"accuracy\", \"completion_only_loss\": false, \"init_lora_weights\": \"gaussian\","
    "\"exclude_modules\": \".*\\\\.0\\\\..*\", \"rank_pattern\": {\"v_proj\": 2, \".*_proj\": 3, \"\\\"\": 1},"
    "\"alpha_pattern\": {\"v_proj\": 0.1},"
    "\"gradient_checkpointing\": false, \"lora_dropout\": 0.1, \"adam_beta2\": 0.95, \"eval_steps\": 0.25}";

static void canonical_text_reads_back_as_itself(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", full,
        "{\"layers_to_transform\": 3, \"layers_pattern\": [\"layers\", \"h\"], \"exclude_modules\": [\"q_proj\"],"
        "\"init_lora_weights\": false}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        gt_recipe a, b;
        char *ta, *tb;
        assert_ok(parse(&a, texts[i]));
        assert_ok(gt_recipe_json(&ta, &a));
        assert_ok(parse(&b, ta));
        assert_ok(gt_recipe_json(&tb, &b));
        assert_string_equal(ta, tb);
        assert_int_equal(b.warnings.count, 0);
        assert_ok(gt_recipe_compare(&a, &b, NULL));
        free(ta), free(tb);
        gt_recipe_free(&a), gt_recipe_free(&b);
    }
}

static void every_key_given_its_own_default_changes_nothing(void **state)
{
    (void)state;
    gt_recipe a, b;
    char *ta, *tb;
    assert_ok(parse(&a, "{}"));
    assert_ok(gt_recipe_json(&ta, &a));
    const gt_recipe_key *k;
    for (int i = 0; (k = gt_recipe_key_at(i)); i++) {
        if (k->status != GT_KEY_ALIAS) {
            char text[256];
            size_t n = strcspn(k->fallback, "|");
            snprintf(text, sizeof text, "{\"%s\": %.*s}", k->name, (int)n, k->fallback);
            assert_ok(parse(&b, text));
            assert_int_equal(b.warnings.count, 0);
            assert_ok(gt_recipe_json(&tb, &b));
            assert_string_equal(ta, tb);
            free(tb);
            gt_recipe_free(&b);
        } else
            assert_int_equal(gt_recipe_key_find(k->target)->status, GT_KEY_APPLIES);
        assert_ptr_equal(gt_recipe_key_find(k->name), k); /* no name twice */
        assert_true(k->note && k->note[0]);
    }
    free(ta);
    gt_recipe_free(&a);
}

static void a_resume_tells_what_changed(void **state)
{
    (void)state;
    gt_recipe a, b;
    gt_string_list warnings = {NULL, 0};
    assert_ok(parse(&a, full));
    assert_ok(parse_set(&b, full, "learning_rate", "0.0001"));
    assert_fails(gt_recipe_compare(&a, &b, &warnings), GT_ERR_CONFIG, "learning_rate was 0.0003, is now 0.0001");
    gt_recipe_free(&b);
    assert_ok(parse_set(&b, full, "base_dtype", "native"));
    assert_fails(gt_recipe_compare(&a, &b, &warnings), GT_ERR_CONFIG, "base_dtype was \"nf4\", is now \"native\"");
    gt_recipe_free(&b);
    /* the same patterns in another order are another adapter */
    assert_ok(parse_set(&b, full, "rank_pattern", "{\".*_proj\": 3, \"v_proj\": 2, \"\\\"\": 1}"));
    assert_fails(gt_recipe_compare(&a, &b, &warnings), GT_ERR_CONFIG,
                 "rank_pattern was {\"v_proj\": 2, \".*_proj\": 3");
    gt_recipe_free(&b);
    assert_ok(parse_set(&b, full, "alpha_pattern", "{}"));
    assert_fails(gt_recipe_compare(&a, &b, &warnings), GT_ERR_CONFIG, "alpha_pattern was {\"v_proj\": 0.1}, is now {}");
    gt_recipe_free(&b);
    assert_ok(parse_set(&b, full, "exclude_modules", "null"));
    assert_fails(gt_recipe_compare(&a, &b, &warnings), GT_ERR_CONFIG, "is now null");
    gt_recipe_free(&b);
    assert_ok(parse_set(&b, full, "init_lora_weights", "false"));
    assert_fails(gt_recipe_compare(&a, &b, &warnings), GT_ERR_CONFIG,
                 "init_lora_weights was \"gaussian\", is now false");
    gt_recipe_free(&b);
    assert_int_equal(warnings.count, 0);
    assert_ok(parse_set(&b, full, "model_name_or_path", "elsewhere"));
    assert_ok(gt_recipe_compare(&a, &b, &warnings));
    assert_int_equal(warnings.count, 1);
    assert_non_null(strstr(warnings.item[0], "elsewhere"));
    gt_recipe_free(&b);
    assert_ok(parse_set(&b, full, "logging_steps", "1"));
    assert_ok(gt_recipe_compare(&a, &b, &warnings));
    assert_int_equal(warnings.count, 1);
    gt_string_list_free(&warnings);
    gt_recipe_free(&a), gt_recipe_free(&b);
}

static void intervals_and_warmup_follow_the_trainer(void **state)
{
    (void)state;
    assert_int_equal(gt_recipe_every(10, 7), 10);
    assert_int_equal(gt_recipe_every(0.1, 95), 10);
    assert_int_equal(gt_recipe_every(0.0001, 5), 1);
    gt_recipe r = {.warmup_steps = 5, .warmup_ratio = 0.5};
    assert_int_equal(gt_recipe_warmup(&r, 100), 5);
    r.warmup_steps = 0;
    assert_int_equal(gt_recipe_warmup(&r, 7), 4);
    r.warmup_steps = 0.03;
    assert_int_equal(gt_recipe_warmup(&r, 100), 3);
    r.warmup_steps = r.warmup_ratio = 0;
    assert_int_equal(gt_recipe_warmup(&r, 100), 0);
}

static void a_word_means_what_the_recipes_key_says(void **state)
{
    (void)state;
    assert_int_equal(gt_recipe_choice("base_dtype", "nf4"), GT_BASE_NF4);
    assert_int_equal(gt_recipe_choice("base_dtype", "bfloat16"), GT_BASE_BF16);
    assert_int_equal(gt_recipe_choice("compute_dtype", "float32"), GT_COMPUTE_F32);
    assert_int_equal(gt_recipe_choice("gradient_checkpointing", "none"), GT_CKPT_NONE);
    assert_int_equal(gt_recipe_choice("gradient_checkpointing", "true"), -1); /* a literal, no word */
    assert_int_equal(gt_recipe_choice("base_dtype", "int8"), -1);
    assert_int_equal(gt_recipe_choice("lora_r", "16"), -1);
    assert_int_equal(gt_recipe_choice("no_such_key", "nf4"), -1);
}

static void a_file_that_is_absent_or_huge_is_refused(void **state)
{
    (void)state;
    gt_recipe r;
    assert_fails(gt_recipe_read(&r, "/nonexistent/r.json", NULL, 0), GT_ERR_IO, "/nonexistent/r.json");
    char path[1100];
    snprintf(path, sizeof path, "%s/huge.json", temp_dir());
    size_t size = (1 << 20) + 1;
    char *text = malloc(size);
    memset(text, ' ', size);
    assert_ok(gt_fs_write(path, text, size));
    free(text);
    assert_fails(gt_recipe_read(&r, path, NULL, 0), GT_ERR_CONFIG, "huge.json");
}

/* The table in docs/recipe.md is the code's; GT_UPDATE_DOCS=1 in the environment writes it there. */
static void the_documentation_holds_the_table(void **state)
{
    (void)state;
    const char *path = GT_SOURCE_DIR "/docs/recipe.md", *mark = "<!-- printed from the table of keys -->\n";
    gt_text want = {0};
    gt_recipe_keys_markdown(&want);
    char *text;
    size_t size;
    assert_ok(gt_fs_read(&text, &size, path, 1 << 20));
    char *at = strstr(text, mark);
    assert_non_null(at);
    at += strlen(mark);
    if (getenv("GT_UPDATE_DOCS") && strcmp(at, want.data) != 0) {
        gt_text whole = {0};
        gt_text_add(&whole, text, (size_t)(at - text));
        gt_text_add(&whole, want.data, want.size);
        assert_ok(gt_fs_write(path, whole.data, whole.size));
        gt_text_free(&whole);
    } else if (strcmp(at, want.data) != 0)
        fail_msg("docs/recipe.md is behind the table of keys: run test_recipe with GT_UPDATE_DOCS=1");
    gt_text_free(&want);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_recipe_has_the_defaults_of_trl),
        cmocka_unit_test(keys_of_all_three_libraries_are_read),
        cmocka_unit_test(targets_are_a_list_all_linear_or_a_regex),
        cmocka_unit_test(patterns_layers_and_exclusions_reach_the_adapters_config),
        cmocka_unit_test(hostile_patterns_layers_and_exclusions_are_refused),
        cmocka_unit_test(lists_without_end_are_refused),
        cmocka_unit_test(starts_that_change_the_base_or_need_data_are_refused_by_name),
        cmocka_unit_test(an_unknown_key_suggests_the_nearest),
        cmocka_unit_test(a_wrong_type_or_value_names_key_value_and_range),
        cmocka_unit_test(what_is_no_flat_object_is_refused),
        cmocka_unit_test(refused_keys_name_reason_and_remedy),
        cmocka_unit_test(keys_that_contradict_each_other_are_refused),
        cmocka_unit_test(sets_outrank_the_file),
        cmocka_unit_test(canonical_text_reads_back_as_itself),
        cmocka_unit_test(every_key_given_its_own_default_changes_nothing),
        cmocka_unit_test(a_resume_tells_what_changed),
        cmocka_unit_test(intervals_and_warmup_follow_the_trainer),
        cmocka_unit_test(a_word_means_what_the_recipes_key_says),
        cmocka_unit_test(a_file_that_is_absent_or_huge_is_refused),
        cmocka_unit_test(the_documentation_holds_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
