/* A base from a GGUF: its metadata are the config, and norm factors are stored as 1 + w. */
#include "gguf_config.h"
#include "weights.h"

#include "fs.h"
#include "gguf_image.h"
#include "real_model.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gt_status parse_config(gt_model_config *c, gguf_image *m)
{
    gt_gguf *g = NULL;
    gt_status st = gt_gguf_open_bytes(&g, m->bytes, m->size, "x.gguf");
    if (st == GT_OK) st = gt_model_config_from_gguf(c, g);
    gt_gguf_close(g);
    return st;
}

/* Metadata and the embedding, as much as the config needs. */
typedef struct {
    const char *arch, *key; /* one key more, if not NULL */
    uint32_t layers, hidden, heads, value;
} metadata;

static gguf_image config_image(metadata o)
{
    gguf_image m = {0};
    char key[100];
    const uint64_t dims[] = {32, 40, 0};
    gguf_put_header(&m, 3, 1, o.key ? 8 : 7);
    gguf_put_key_string(&m, "general.architecture", o.arch);
    const struct {
        const char *name;
        uint32_t value;
    } keys[] = {{"embedding_length", o.hidden},    {"block_count", o.layers},    {"feed_forward_length", 64},
                {"attention.head_count", o.heads}, {"attention.key_length", 16}, {"attention.sliding_window", 512}};
    for (size_t i = 0; i < 6; i++) {
        snprintf(key, sizeof key, "%s.%s", o.arch, keys[i].name);
        gguf_put_key_u32(&m, key, keys[i].value);
    }
    if (o.key) gguf_put_key_u32(&m, o.key, o.value);
    gguf_put_info(&m, "token_embd.weight", dims, 2, 0);
    gguf_put_padding(&m, 32);
    for (int i = 0; i < 40 * 18; i++) gguf_put(&m, "", 1);
    return m;
}

static void metadata_become_a_config(void **state)
{
    (void)state;
    gt_model_config c;
    gguf_image m = config_image((metadata){"gemma3", NULL, 18, 32, 4, 0});
    assert_ok(parse_config(&c, &m));
    assert_int_equal(c.vocab_size, 40);
    assert_int_equal(c.num_hidden_layers, 18);
    assert_int_equal(c.num_key_value_heads, 4);
    assert_true(c.query_pre_attn_scalar == 16 && c.rope_theta == 1e6 && c.rope_local_base_freq == 1e4 &&
                c.rope_factor == 1);
    assert_true(c.rms_norm_eps == 1e-6f && !c.bidirectional);
    for (int i = 0; i < 18; i++) assert_int_equal(c.layer_is_full[i], i % 6 == 5);
    assert_int_equal(c.eos_count, 1);
    assert_int_equal(c.eos_id[0], 1);
    gguf_image_free(&m);

    m = config_image((metadata){"gemma3", "tokenizer.ggml.eos_token_id", 62, 5376, 32, 106});
    assert_ok(parse_config(&c, &m));
    assert_true(c.query_pre_attn_scalar == 168); /* the 27B */
    assert_int_equal(c.eos_count, 2);
    assert_int_equal(c.eos_id[1], 106);
    gguf_image_free(&m);

    m = config_image((metadata){"gemma3", "gemma3.attention.sliding_window_pattern", 6, 32, 4, 2});
    assert_ok(parse_config(&c, &m));
    assert_true(c.layer_is_full[1] && !c.layer_is_full[2] && c.layer_is_full[3]);
    gguf_image_free(&m);

    m = config_image((metadata){"gemma-embedding", NULL, 6, 32, 4, 0});
    assert_ok(parse_config(&c, &m));
    assert_true(c.bidirectional);
    gguf_image_free(&m);
}

static void wrong_metadata_are_refused_by_key(void **state)
{
    (void)state;
    static const struct {
        metadata o;
        const char *words;
    } cases[] = {
        {{"llama", NULL, 18, 32, 4, 0}, "'llama'"},
        {{"gemma3", NULL, 0, 32, 4, 0}, "gemma3.block_count"},
        {{"gemma3", NULL, 513, 32, 4, 0}, "gemma3.block_count"},
        {{"gemma3", NULL, UINT32_MAX, 32, 4, 0}, "gemma3.block_count"},
        {{"gemma3", NULL, 18, 0, 4, 0}, "gemma3.embedding_length"},
        {{"gemma3", NULL, 18, 32, 0, 0}, "gemma3.attention.head_count"},
        {{"gemma3", "gemma3.attention.head_count_kv", 18, 32, 4, 3}, "num_key_value_heads"},
        {{"gemma3", "gemma3.attention.value_length", 18, 32, 4, 8}, "value_length"},
        {{"gemma3", "gemma3.rope.freq_base", 18, 32, 4, 0}, "gemma3.rope.freq_base"},
        {{"gemma3", "gemma3.rope.scaling.type", 18, 32, 4, 0}, "gemma3.rope.scaling.type"},
        {{"gemma3", "gemma3.final_logit_softcapping", 18, 32, 4, 30}, "softcapping"},
        {{"gemma3", "tokenizer.ggml.bos_token_id", 18, 32, 4, UINT32_MAX}, "bos_token_id"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gt_model_config c;
        gguf_image m = config_image(cases[i].o);
        assert_fails(parse_config(&c, &m), GT_ERR_DATA, cases[i].words);
        gguf_image_free(&m);
    }
}

static char *write_image(const gguf_image *m)
{
    char *path = gt_fs_join(temp_dir(), "m.gguf");
    assert_ok(gt_fs_write(path, m->bytes, m->size));
    return path;
}

static void a_small_model_opens_with_its_stored_factors(void **state)
{
    (void)state;
    gguf_image m = {0};
    gguf_put_tiny_gemma(&m, 2);
    char *path = write_image(&m), hex[65];
    gt_weights *w;
    assert_ok(gt_weights_open(&w, path));
    assert_string_equal(w->source, "gguf");
    assert_string_equal(w->prefix, "model.");
    assert_int_equal(w->config.vocab_size, 40);
    assert_int_equal(w->embed.rows, 40);
    assert_int_equal(w->proj[1][GT_DOWN_PROJ].rows, 32);
    assert_int_equal(w->proj[1][GT_DOWN_PROJ].cols, 64);
    assert_true(((const float *)w->proj[1][GT_K_PROJ].data)[33] == 33 / 1000.0f);
    assert_true(w->norm[1][GT_PRE_MLP_NORM][0] == 1.0f); /* the factor itself, nothing added */
    assert_true(w->norm[0][GT_Q_NORM][15] == 1.0f + 15 / 1000.0f);
    assert_true(w->final_norm[31] == 1.0f + 31 / 1000.0f);
    assert_ok(gt_weights_identity(w, hex));
    gt_weights_close(w);

    /* Another block_count than there are blocks. */
    for (size_t i = 0; i + 17 < m.size; i++)
        if (memcmp(m.bytes + i, "gemma3.block_count", 18) == 0) m.bytes[i + 18 + 4] = 3;
    assert_ok(gt_fs_write(path, m.bytes, m.size));
    w = NULL;
    assert_fails(gt_weights_open(&w, path), GT_ERR_DATA, "blk.2.attn_q.weight");
    free(path);
    gguf_image_free(&m);
}

static void the_real_270m_opens(void **state)
{
    (void)state;
    gt_weights *w;
    assert_ok(gt_weights_open(&w, real_270m()));
    const gt_model_config *c = &w->config;
    assert_int_equal(c->vocab_size, 262144);
    assert_int_equal(c->hidden_size, 640);
    assert_int_equal(c->num_hidden_layers, 18);
    assert_int_equal(c->num_attention_heads, 4);
    assert_int_equal(c->num_key_value_heads, 1);
    assert_int_equal(c->head_dim, 256);
    assert_int_equal(c->intermediate_size, 2048);
    assert_int_equal(c->sliding_window, 512);
    assert_int_equal(c->max_position_embeddings, 32768);
    assert_true(c->query_pre_attn_scalar == 256 && c->rope_factor == 1 && c->rope_theta == 1e6);
    assert_true(c->rms_norm_eps == 1e-6f && c->layer_is_full[5] && c->layer_is_full[11] && c->layer_is_full[17]);
    assert_int_equal(c->eos_id[0], 1);
    assert_int_equal(w->proj[0][GT_Q_PROJ].rows, 1024);
    assert_int_equal(w->embed.dtype, GT_Q8_0);
    assert_true(w->norm[0][GT_INPUT_NORM][0] > 0);
    gt_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_become_a_config),
        cmocka_unit_test(wrong_metadata_are_refused_by_key),
        cmocka_unit_test(a_small_model_opens_with_its_stored_factors),
        cmocka_unit_test(the_real_270m_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
