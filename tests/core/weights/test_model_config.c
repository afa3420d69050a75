/* config.json as releases spell it: defaults that are left out, several spellings of one model, and what is not
 * Gemma 3. */
#include "model_config.h"

#include "fs.h"
#include "testing.h"
#include "weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gt_status parse(gt_model_config *c, const char *text)
{
    return gt_model_config_parse(c, text, strlen(text), "config.json");
}

static gt_model_config read_file(const char *name)
{
    gt_model_config c;
    char *text;
    size_t size;
    const char *path = golden(name);
    assert_ok(gt_fs_read(&text, &size, path, 1 << 20));
    assert_ok(gt_model_config_parse(&c, text, size, path));
    free(text);
    return c;
}

static void an_empty_config_is_the_class_defaults(void **state)
{
    (void)state;
    gt_model_config c;
    assert_ok(parse(&c, "{\"model_type\":\"gemma3_text\"}"));
    assert_int_equal(c.vocab_size, 262208);
    assert_int_equal(c.hidden_size, 2304);
    assert_int_equal(c.intermediate_size, 9216);
    assert_int_equal(c.num_hidden_layers, 26);
    assert_int_equal(c.num_attention_heads, 8);
    assert_int_equal(c.num_key_value_heads, 4);
    assert_int_equal(c.head_dim, 256);
    assert_int_equal(c.sliding_window, 4096);
    assert_int_equal(c.max_position_embeddings, 131072);
    assert_true(c.rms_norm_eps == 1e-6f);
    assert_true(c.query_pre_attn_scalar == 256 && c.rope_theta == 1e6 && c.rope_local_base_freq == 1e4);
    assert_true(c.rope_factor == 1 && !c.bidirectional && !c.multimodal);
    assert_int_equal(c.bos_id, 2);
    assert_int_equal(c.pad_id, 0);
    assert_int_equal(c.eos_count, 1);
    assert_int_equal(c.eos_id[0], 1);
    for (int i = 0; i < 26; i++) assert_int_equal(c.layer_is_full[i], i % 6 == 5);
}

static void published_text_configs_are_read(void **state)
{
    (void)state;
    gt_model_config c;
    assert_ok(parse(&c, "{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"eos_token_id\":[1,106],"
                        "\"mm_tokens_per_image\":256,\"model_type\":\"gemma3\",\"text_config\":{\"head_dim\":128,"
                        "\"hidden_size\":5376,\"intermediate_size\":21504,\"model_type\":\"gemma3_text\","
                        "\"num_attention_heads\":32,\"num_hidden_layers\":62,\"num_key_value_heads\":16,"
                        "\"query_pre_attn_scalar\":168,\"rope_scaling\":{\"factor\":8.0,\"rope_type\":\"linear\"},"
                        "\"sliding_window\":1024},\"vision_config\":{\"hidden_size\":1152}}"));
    assert_int_equal(c.hidden_size, 5376);
    assert_int_equal(c.num_hidden_layers, 62);
    assert_int_equal(c.head_dim, 128);
    assert_true(c.query_pre_attn_scalar == 168 && c.rope_factor == 8 && c.multimodal);
    assert_int_equal(c.sliding_window, 1024);
    assert_int_equal(c.vocab_size, 262208);
    assert_int_equal(c.eos_count, 2);
    assert_int_equal(c.eos_id[1], 106);
}

static void the_spellings_of_one_model_agree(void **state)
{
    (void)state;
    static const char *const files[] = {"layout_legacy_sharded/config.json", "layout_multimodal_new/config.json",
                                        "layout_multimodal_old/config.json"};
    const gt_model_config want = read_file("tiny/mqa_short/config.json");
    assert_int_equal(want.num_hidden_layers, 7);
    assert_int_equal(want.layer_is_full[5], 1);
    assert_int_equal(want.layer_is_full[6], 0);
    for (size_t i = 0; i < 3; i++) {
        char name[100];
        snprintf(name, sizeof name, "tiny/mqa_short/%s", files[i]);
        gt_model_config c = read_file(name);
        assert_int_equal(c.multimodal, i > 0);
        assert_int_equal(c.eos_count, i > 0 ? 2 : 1);
        assert_memory_equal(c.layer_is_full, want.layer_is_full, sizeof c.layer_is_full);
        assert_int_equal(c.hidden_size, want.hidden_size);
        assert_int_equal(c.head_dim, want.head_dim);
        assert_true(c.rope_theta == want.rope_theta && c.rope_local_base_freq == want.rope_local_base_freq);
    }
    assert_true(read_file("tiny/gqa_scaled/config.json").rope_factor == 8);
    assert_true(read_file("tiny/wide_head/config.json").query_pre_attn_scalar == 168);
}

static void keys_resolve_in_the_documented_order(void **state)
{
    (void)state;
    gt_model_config c;
    assert_ok(parse(&c, "{\"model_type\":\"gemma3_text\",\"num_hidden_layers\":4,\"sliding_window_pattern\":2,"
                        "\"_sliding_window_pattern\":3}"));
    assert_true(c.layer_is_full[1] && !c.layer_is_full[2] && c.layer_is_full[3]);
    assert_ok(parse(&c, "{\"model_type\":\"gemma3_text\",\"num_hidden_layers\":4,\"_sliding_window_pattern\":3,"
                        "\"sliding_window_pattern\":null}"));
    assert_true(!c.layer_is_full[1] && c.layer_is_full[2]);
    assert_ok(parse(&c, "{\"model_type\":\"gemma3_text\",\"num_hidden_layers\":2,\"sliding_window_pattern\":2,"
                        "\"layer_types\":[\"full_attention\",\"sliding_attention\"]}"));
    assert_true(c.layer_is_full[0] && !c.layer_is_full[1]);
    assert_ok(parse(&c,
                    "{\"model_type\":\"gemma3_text\",\"rope_theta\":5,\"rope_scaling\":{\"type\":\"linear\","
                    "\"factor\":4},\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\",\"factor\":9},"
                    "\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":7}}}"));
    assert_true(c.rope_theta == 1e6 && c.rope_factor == 1 && c.rope_local_base_freq == 7);
    assert_ok(parse(&c, "{\"model_type\":\"gemma3_text\",\"rope_theta\":5,\"rope_scaling\":{\"type\":\"linear\","
                        "\"factor\":4}}"));
    assert_true(c.rope_theta == 5 && c.rope_factor == 4);
    assert_ok(parse(&c, "{\"text_config\":{\"model_type\":\"gemma3_text\",\"architectures\":[\"Nonsense\"]}}"));
    assert_true(c.multimodal);
}

#define TEXT "{\"model_type\":\"gemma3_text\","

static void what_is_not_gemma_3_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[]", "object"},
        {"{}", "model_type"},
        {"{\"model_type\":\"llama\"}", "'llama'"},
        {"{\"model_type\":\"gemma3\"}", "'gemma3'"},
        {"{\"model_type\":\"llava\",\"text_config\":{\"model_type\":\"gemma3_text\"}}", "'llava'"},
        {"{\"model_type\":\"gemma3\",\"text_config\":{\"model_type\":\"gemma2\"}}", "'gemma2'"},
        {"{\"model_type\":\"gemma3\",\"text_config\":7}", "text_config"},
        {TEXT "\"hidden_size\":\"640\"}", "hidden_size"},
        {TEXT "\"hidden_size\":0}", "hidden_size"},
        {TEXT "\"hidden_size\":640.5}", "hidden_size"},
        {TEXT "\"num_hidden_layers\":513}", "num_hidden_layers"},
        {TEXT "\"num_hidden_layers\":4294967297}", "num_hidden_layers"},
        {TEXT "\"num_attention_heads\":4,\"num_key_value_heads\":3}", "num_key_value_heads"},
        {TEXT "\"head_dim\":127}", "head_dim"},
        {TEXT "\"rms_norm_eps\":-1}", "rms_norm_eps"},
        {TEXT "\"rms_norm_eps\":2}", "rms_norm_eps"},
        {TEXT "\"query_pre_attn_scalar\":0}", "query_pre_attn_scalar"},
        {TEXT "\"hidden_activation\":\"silu\"}", "silu"},
        {TEXT "\"attention_bias\":true}", "attention_bias"},
        {TEXT "\"attention_dropout\":0.1}", "attention_dropout"},
        {TEXT "\"tie_word_embeddings\":false}", "tie_word_embeddings"},
        {TEXT "\"attn_logit_softcapping\":50.0}", "attn_logit_softcapping"},
        {TEXT "\"final_logit_softcapping\":30.0}", "final_logit_softcapping"},
        {TEXT "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":8}}", "yarn"},
        {TEXT "\"rope_scaling\":{\"rope_type\":\"linear\"}}", "factor"},
        {TEXT "\"rope_scaling\":[]}", "rope_scaling"},
        {TEXT "\"rope_parameters\":{\"rope_type\":\"default\"}}", "full_attention"},
        {TEXT "\"rope_parameters\":{\"sliding_attention\":{\"rope_type\":\"linear\",\"factor\":8}}}", "never scaled"},
        {TEXT "\"layer_types\":[\"full_attention\"]}", "layer_types"},
        {TEXT "\"num_hidden_layers\":1,\"layer_types\":[\"chunked_attention\"]}", "layer_types[0]"},
        {TEXT "\"sliding_window_pattern\":0}", "sliding_window_pattern"},
        {TEXT "\"eos_token_id\":[]}", "eos_token_id"},
        {TEXT "\"eos_token_id\":[1,-1]}", "eos_token_id"},
        {TEXT "\"eos_token_id\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", "eos_token_id"},
        {TEXT "\"use_bidirectional_attention\":1}", "use_bidirectional_attention"},
        {TEXT "\"hidden_size\":640,\"hidden_size\":640}", "hidden_size"},
        {TEXT "\"hidden_size\":640", "config.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gt_model_config c;
        memset(&c, 7, sizeof c);
        assert_fails(parse(&c, cases[i].text), GT_ERR_DATA, cases[i].words);
        assert_int_equal(c.hidden_size, 0x07070707); /* untouched */
    }
}

static void generation_config_gives_the_ids_that_end_an_answer(void **state)
{
    (void)state;
    gt_model_config c;
    assert_ok(parse(&c, "{\"model_type\":\"gemma3_text\"}"));
    const char *text = "{\"do_sample\":true,\"eos_token_id\":[1,106],\"top_k\":64}";
    assert_ok(gt_model_config_parse_generation(&c, text, strlen(text), "g"));
    assert_int_equal(c.eos_count, 2);
    assert_int_equal(c.eos_id[1], 106);
    assert_ok(gt_model_config_parse_generation(&c, "{}", 2, "g"));
    assert_int_equal(c.eos_count, 2);
    assert_fails(gt_model_config_parse_generation(&c, "{\"eos_token_id\":\"a\"}", 20, "g"), GT_ERR_DATA,
                 "eos_token_id");
    assert_int_equal(c.eos_count, 2);
}

static void same(const gt_model_config *a, const gt_model_config *b)
{
    gt_model_config x = *a, y = *b;
    x.multimodal = y.multimodal = false; /* what is written is a text model */
    assert_int_equal(x.rms_norm_eps == y.rms_norm_eps, 1);
    assert_memory_equal(x.layer_is_full, y.layer_is_full, sizeof x.layer_is_full);
    assert_memory_equal(x.eos_id, y.eos_id, sizeof x.eos_id);
    assert_true(x.query_pre_attn_scalar == y.query_pre_attn_scalar && x.rope_theta == y.rope_theta);
    assert_true(x.rope_local_base_freq == y.rope_local_base_freq && x.rope_factor == y.rope_factor);
    const int m[] = {x.vocab_size,
                     x.hidden_size,
                     x.intermediate_size,
                     x.num_hidden_layers,
                     x.num_attention_heads,
                     x.num_key_value_heads,
                     x.head_dim,
                     x.sliding_window,
                     x.max_position_embeddings,
                     x.bidirectional,
                     x.bos_id,
                     x.pad_id,
                     x.eos_count};
    const int n[] = {y.vocab_size,
                     y.hidden_size,
                     y.intermediate_size,
                     y.num_hidden_layers,
                     y.num_attention_heads,
                     y.num_key_value_heads,
                     y.head_dim,
                     y.sliding_window,
                     y.max_position_embeddings,
                     y.bidirectional,
                     y.bos_id,
                     y.pad_id,
                     y.eos_count};
    assert_memory_equal(m, n, sizeof m);
}

static void add_scheme(gt_json_writer *w, gt_json_node *root, const void *user)
{
    gt_json_add_text(w, gt_json_add_object(w, root, "quantization_config"), "a", user);
}

static void a_written_config_reads_back_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {
        TEXT "\"rms_norm_eps\":1e-5,\"query_pre_attn_scalar\":168,\"rope_theta\":1234567.5}",
        TEXT "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8},\"eos_token_id\":[1,106],\"vocab_size\":262144}",
        TEXT "\"use_bidirectional_attention\":true,\"num_hidden_layers\":24}",
    };
    for (size_t i = 0; i < 3; i++) {
        gt_model_config c, back;
        gt_text text = {0};
        assert_ok(parse(&c, texts[i]));
        assert_ok(gt_model_config_write(&text, &c, "bfloat16", i == 1 ? add_scheme : NULL, "b"));
        assert_ok(parse(&back, text.data));
        same(&c, &back);
        /* transformers wants no 168.0 */
        if (i == 0) assert_non_null(strstr(text.data, "\"query_pre_attn_scalar\":\t168,"));
        assert_true((strstr(text.data, "\"quantization_config\":\t{\n\t\t\"a\":\t\"b\"\n\t}") != NULL) == (i == 1));
        gt_text_free(&text);
    }
}

static void slots_run_layer_by_layer(void **state)
{
    (void)state;
    const gt_model_config c = {.num_hidden_layers = 3};
    assert_int_equal(gt_slot_count(&c), 21);
    for (int i = 0; i < gt_slot_count(&c); i++) assert_int_equal(gt_slot_index(gt_slot_at(i)), i);
    assert_int_equal(gt_slot_at(8).layer, 1);
    assert_int_equal(gt_slot_at(8).proj, GT_K_PROJ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_config_is_the_class_defaults),
        cmocka_unit_test(published_text_configs_are_read),
        cmocka_unit_test(the_spellings_of_one_model_agree),
        cmocka_unit_test(keys_resolve_in_the_documented_order),
        cmocka_unit_test(what_is_not_gemma_3_is_refused),
        cmocka_unit_test(generation_config_gives_the_ids_that_end_an_answer),
        cmocka_unit_test(a_written_config_reads_back_the_same),
        cmocka_unit_test(slots_run_layer_by_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
