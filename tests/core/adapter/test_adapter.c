/* PEFT adapter folders: the golden ones are read, written again to the same tensors, and every lie is refused. */
#include "testing.h"

#include "adapter.h"
#include "fs.h"
#include "golden_tensor.h"
#include "safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gt_model_config golden_model(const char *variant)
{
    char name[128], *text;
    size_t size;
    snprintf(name, sizeof name, "tiny/%s/config.json", variant);
    assert_ok(gt_fs_read(&text, &size, golden(name), 1 << 20));
    gt_model_config m;
    assert_ok(gt_model_config_parse(&m, text, size, name));
    free(text);
    return m;
}

static void golden_adapter_round_trips(const char *variant, const char *name)
{
    char golden_name[128];
    snprintf(golden_name, sizeof golden_name, "tiny/%s/%s", variant, name);
    const char *folder = golden(golden_name);
    gt_model_config m = golden_model(variant);
    gt_adapter *a = NULL;
    assert_ok(gt_adapter_read(&a, folder, &m));

    golden_file want = golden_open(path_in(folder, "adapter_model.safetensors"));
    size_t at = 0;
    for (int i = 0; i < gt_slot_count(&m); i++) {
        if (a->targets.rank[i] == 0) continue;
        for (int half = 0; half < 2; half++) {
            char key[256];
            snprintf(key, sizeof key, "base_model.model.model.layers.%d.%s.lora_%c.weight", gt_slot_at(i).layer,
                     gt_proj_path(gt_slot_at(i).proj), "AB"[half]);
            golden_tensor t = golden_get(&want, key);
            assert_memory_equal(a->param + at, t.data, t.bytes);
            at += t.bytes / 4;
        }
    }
    assert_int_equal(at, a->count);
    golden_close(&want);

    /* written and read again: the same */
    char *out = path_in(temp_dir(), "again");
    const gt_adapter_source s = {.config = &a->config,
                                 .rank = a->targets.rank,
                                 .param = a->param,
                                 .model = &m,
                                 .prefix = "model.",
                                 .base_model = a->base_model};
    assert_ok(gt_adapter_write(out, &s, false));
    assert_ok(gt_adapter_write(out, &s, true));
    assert_fails(gt_adapter_write(out, &s, false), GT_ERR_CONFIG, "not empty");
    gt_adapter *b = NULL;
    assert_ok(gt_adapter_read(&b, out, &m));
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->param, b->param, a->count * sizeof(float));
    assert_memory_equal(a->targets.rank, b->targets.rank, sizeof a->targets.rank);
    assert_memory_equal(a->targets.scaling, b->targets.scaling, sizeof a->targets.scaling);
    gt_adapter_free(b);
    gt_adapter_free(a);
}

static void golden_adapters_round_trip(void **state)
{
    (void)state;
    golden_adapter_round_trips("wide_head", "adapter_all_start");
    golden_adapter_round_trips("wide_head", "adapter_qk_final");
    golden_adapter_round_trips("gqa_scaled", "adapter_qk_nf4_final");
    golden_adapter_round_trips("mqa_short", "adapter_all_final");
}

static void dora_is_refused(void **state)
{
    (void)state;
    gt_model_config m = golden_model("wide_head");
    gt_adapter *a = NULL;
    assert_fails(gt_adapter_read(&a, golden("tiny/wide_head/adapter_dora_start"), &m), GT_ERR_DATA, "DoRA");
    assert_null(a);
}

/* A made-up model of 2 layers and an adapter of rank 2 on q_proj of both. */
static gt_model_config small_model(void)
{
    return (gt_model_config){.vocab_size = 100,
                             .hidden_size = 8,
                             .intermediate_size = 16,
                             .num_hidden_layers = 2,
                             .num_attention_heads = 2,
                             .num_key_value_heads = 1,
                             .head_dim = 4};
}

typedef struct {
    const char *name;
    gt_dtype dtype;
    uint64_t shape[2];
} made_tensor;

#define Q(prefix, layer, half) "base_model.model." prefix "layers." layer ".self_attn.q_proj.lora_" half ".weight"

static const made_tensor plain[] = {{Q("model.", "0", "A"), GT_F32, {2, 8}},
                                    {Q("model.", "0", "B"), GT_F32, {8, 2}},
                                    {Q("model.", "1", "A"), GT_F32, {2, 8}},
                                    {Q("model.", "1", "B"), GT_F32, {8, 2}}};
static const char plain_config[] =
    "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, \"target_modules\": [\"q_proj\"]}";

static const char *make(const char *config, const made_tensor *t, size_t count, float value)
{
    const char *folder = temp_dir();
    assert_ok(gt_fs_write(path_in(folder, "adapter_config.json"), config, strlen(config)));
    gt_safetensor_spec spec[16];
    for (size_t i = 0; i < count; i++)
        spec[i] = (gt_safetensor_spec){t[i].name, t[i].dtype, 2, {t[i].shape[0], t[i].shape[1]}};
    gt_safetensors_writer *w;
    assert_ok(gt_safetensors_create(&w, path_in(folder, "adapter_model.safetensors"), spec, count, NULL));
    for (size_t i = 0; i < count; i++) {
        for (uint64_t e = 0; e < t[i].shape[0] * t[i].shape[1]; e++) {
            const uint16_t half = t[i].dtype == GT_BF16 ? gt_f32_to_bf16(value) : gt_f32_to_f16(value);
            assert_ok(t[i].dtype == GT_F32 || t[i].dtype == GT_I32 ? gt_safetensors_write(w, &value, 4)
                                                                   : gt_safetensors_write(w, &half, 2));
        }
    }
    assert_ok(gt_safetensors_publish(w));
    return folder;
}

static void every_spelling_of_the_module_tree_is_read(void **state)
{
    (void)state;
    const gt_model_config m = small_model();
    static const char *const prefixes[] = {"model.", "model.language_model.", "language_model.model.", ""};
    static const gt_dtype dtypes[] = {GT_F32, GT_F16, GT_BF16};
    for (size_t i = 0; i < 4; i++) {
        for (size_t d = 0; d < 3; d++) {
            made_tensor t[5];
            char name[5][160];
            for (int j = 0; j < 4; j++) {
                snprintf(name[j], sizeof name[j], "base_model.model.%slayers.%d.self_attn.q_proj.lora_%c.weight",
                         prefixes[i], j / 2, "AB"[j % 2]);
                t[j] = (made_tensor){name[j], dtypes[d], {plain[j].shape[0], plain[j].shape[1]}};
            }
            t[4] = (made_tensor){"base_model.model.model.vision_tower.x.q_proj.lora_A.weight", GT_F32, {1, 1}};
            gt_adapter *a = NULL;
            assert_ok(gt_adapter_read(&a, make(plain_config, t, 5, 0.5f), &m));
            assert_int_equal(a->count, 64);
            assert_int_equal(a->ignored_vision, 1);
            assert_true(a->targets.scaling[0] == 2.0f);
            for (size_t e = 0; e < a->count; e++) assert_true(a->param[e] == 0.5f);
            gt_adapter_free(a);
        }
    }
}

static void lies_are_refused_by_name(void **state)
{
    (void)state;
    const gt_model_config m = small_model();
    static const struct {
        const char *config, *words;
    } bad[] = {
        {"", "adapter_config.json"},
        {"[]", "object"},
        {"{\"peft_type\": \"IA3\"}", "IA3"},
        {"{\"r\": 0, \"target_modules\": [\"q_proj\"]}", "'r'"},
        {"{\"r\": 2.5, \"target_modules\": [\"q_proj\"]}", "'r'"},
        {"{\"r\": \"2\", \"target_modules\": [\"q_proj\"]}", "'r'"},
        {"{\"r\": 3, \"target_modules\": [\"q_proj\"]}", "rank 3"},
        {"{\"r\": 2, \"target_modules\": [\"v_proj\"]}", "do not name"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\", \"v_proj\"]}", "v_proj has no tensors"},
        {"{\"r\": 2, \"target_modules\": [\"nothing\"]}", "match no module"},
        {"{\"r\": 2, \"target_modules\": [7]}", "target_modules"},
        {"{\"r\": 2, \"target_modules\": [\"a\\u0000b\"]}", "target_modules"},
        {"{\"r\": 2}", "target_modules"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"lora_alpha\": \"x\"}", "lora_alpha"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"use_dora\": true}", "DoRA"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"lora_bias\": true}", "bias"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"bias\": \"all\"}", "bias"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"fan_in_fan_out\": true}", "transposed"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"modules_to_save\": [\"lm_head\"]}", "modules_to_save"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"init_lora_weights\": \"pissa_niter_4\"}", "pissa"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"rank_pattern\": {\"q_proj\": \"x\"}}", "rank_pattern"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"rank_pattern\": {\"q_(\": 2}}", "not closed"},
        {"{\"r\": 2, \"target_modules\": [\"q_proj\"], \"layers_to_transform\": [-1]}", "layers_to_transform"},
        {"{\"r\": 2, \"r\": 3, \"target_modules\": [\"q_proj\"]}", "r"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gt_adapter *a = NULL;
        assert_fails(gt_adapter_read(&a, make(bad[i].config, plain, 4, 0.5f), &m), GT_ERR_DATA, bad[i].words);
        assert_null(a);
    }
    static const struct {
        made_tensor tensor; /* takes the place of tensor `at` */
        int at;
        const char *words;
    } worse[] = {
        {{Q("model.", "0", "A"), GT_F32, {2, 9}}, 0, "ask for [2, 8]"},
        {{Q("model.", "0", "A"), GT_I32, {2, 8}}, 0, "expected F32"},
        {{Q("model.", "2", "A"), GT_F32, {2, 8}}, 0, "no module"},
        {{Q("model.", "01", "A"), GT_F32, {2, 8}}, 0, "no module"},
        {{Q("model.", "99999999999999999999", "A"), GT_F32, {2, 8}}, 0, "no module"},
        {{Q("language_model.model.", "0", "A"), GT_F32, {2, 8}}, 0, "two prefixes"},
        {{"base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", GT_F32, {2, 8}}, 0, "DoRA"},
        {{"base_model.model.model.embed_tokens.lora_embedding_A", GT_F32, {2, 8}}, 0, "embedding"},
        {{"base_model.model.lm_head.weight", GT_F32, {2, 8}}, 0, "no module"},
        {{"base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight", GT_F32, {2, 8}}, 2, "no lora_A"},
    };
    for (size_t i = 0; i < sizeof worse / sizeof *worse; i++) {
        made_tensor t[4];
        memcpy(t, plain, sizeof t);
        t[worse[i].at] = worse[i].tensor;
        gt_adapter *a = NULL;
        const char *folder = make(plain_config, t, 4, 0.5f);
        assert_fails(gt_adapter_read(&a, folder, &m), GT_ERR_DATA, worse[i].words);
        assert_null(a);
    }
    gt_adapter *a = NULL;
    assert_fails(gt_adapter_read(&a, make(plain_config, plain, 4, INFINITY), &m), GT_ERR_DATA, "not finite");
    assert_fails(gt_adapter_read(&a, "/nowhere", &m), GT_ERR_IO, "/nowhere");
}

static void a_multimodal_base_gets_a_pattern_of_the_text_tower(void **state)
{
    (void)state;
    const gt_model_config m = small_model();
    gt_adapter *a = NULL, *b = NULL;
    assert_ok(gt_adapter_read(&a, make(plain_config, plain, 4, 0.25f), &m));
    const gt_adapter_source s = {&a->config, a->targets.rank, a->param, &m, "language_model.model.", "google/x"};
    char *folder = path_in(temp_dir(), "deep/er/adapter");
    assert_ok(gt_adapter_write(folder, &s, false));
    char *text;
    size_t size;
    assert_ok(gt_fs_read(&text, &size, path_in(folder, "adapter_config.json"), 1 << 16));
    assert_non_null(
        strstr(text, "\"target_modules\":\t\"model\\\\.language_model\\\\.layers\\\\.(0|1)\\\\.(self_attn.q_proj)\""));
    free(text);
    assert_ok(gt_adapter_read(&b, folder, &m));
    assert_memory_equal(a->param, b->param, a->count * sizeof(float));
    gt_adapter_free(a);
    gt_adapter_free(b);
}

static void nothing_is_replaced_that_is_no_adapter(void **state)
{
    (void)state;
    const gt_model_config m = small_model();
    gt_adapter *a = NULL;
    assert_ok(gt_adapter_read(&a, make(plain_config, plain, 4, 0.25f), &m));
    const gt_adapter_source s = {&a->config, a->targets.rank, a->param, &m, "model.", NULL};
    const char *folder = temp_dir();
    assert_ok(gt_adapter_write(folder, &s, false)); /* an empty folder is taken */
    assert_ok(gt_fs_write(path_in(folder, "thesis.pdf"), "x", 1));
    assert_fails(gt_adapter_write(folder, &s, true), GT_ERR_CONFIG, "thesis.pdf");
    unlink(path_in(folder, "thesis.pdf"));
    assert_int_equal(mkdir(path_in(folder, "sub.json"), 0700), 0);
    assert_fails(gt_adapter_write(folder, &s, true), GT_ERR_CONFIG, "sub.json");
    a->param[3] = NAN;
    const char *bad = path_in(temp_dir(), "nan");
    assert_fails(gt_adapter_write(bad, &s, false), GT_ERR_DATA, "not finite");
    assert_false(gt_fs_exists(bad));
    gt_adapter_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_adapters_round_trip),
        cmocka_unit_test(dora_is_refused),
        cmocka_unit_test(every_spelling_of_the_module_tree_is_read),
        cmocka_unit_test(lies_are_refused_by_name),
        cmocka_unit_test(a_multimodal_base_gets_a_pattern_of_the_text_tower),
        cmocka_unit_test(nothing_is_replaced_that_is_no_adapter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
