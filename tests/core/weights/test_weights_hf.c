/* A base from Hugging Face folders: every layout is the same weights and the same identity, and what is wrong is
 * refused by the tensor's or field's name. */
#include "weights.h"

#include "fs.h"
#include "golden_tensor.h"
#include "safetensors.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every matrix is the very bytes of the file's tensor, every norm is 1 + w. */
static void compare(const gt_weights *w, const char *file, const char *prefix)
{
    char name[200];
    const gt_model_config *c = &w->config;
    snprintf(name, sizeof name, "%sembed_tokens.weight", prefix);
    const golden_tensor e = golden_find(file, name);
    assert_int_equal(w->embed.rows, e.shape[0]);
    assert_int_equal(c->vocab_size, e.shape[0]);
    assert_memory_equal(w->embed.data, e.data, e.bytes);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            snprintf(name, sizeof name, "%slayers.%d.%s.weight", prefix, l, gt_proj_path((gt_proj)p));
            golden_tensor t = golden_find(file, name);
            const gt_matrix *m = &w->proj[l][p];
            assert_int_equal(m->dtype, t.dtype);
            assert_int_equal(m->rows, t.shape[0]);
            assert_int_equal(m->cols, t.shape[1]);
            assert_memory_equal(m->data, t.data, t.bytes);
        }
        static const char *const norms[GT_NORM_COUNT] = {"input_layernorm",           "self_attn.q_norm",
                                                         "self_attn.k_norm",          "post_attention_layernorm",
                                                         "pre_feedforward_layernorm", "post_feedforward_layernorm"};
        for (int n = 0; n < GT_NORM_COUNT; n++) {
            snprintf(name, sizeof name, "%slayers.%d.%s.weight", prefix, l, norms[n]);
            size_t count;
            float *f = golden_f32(file, name, &count);
            for (size_t i = 0; i < count; i++) assert_true(w->norm[l][n][i] == 1.0f + f[i]);
            free(f);
        }
    }
}

static void every_layout_of_a_model_is_the_same_weights(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *prefix;
    } layouts[] = {{"tiny/mqa_short", "model."},
                   {"tiny/mqa_short/layout_legacy_sharded", "model."},
                   {"tiny/mqa_short/layout_multimodal_old", "model.language_model."},
                   {"tiny/mqa_short/layout_multimodal_new", "model.language_model."}};
    char first[65], hex[65];
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        gt_weights *w;
        assert_ok(gt_weights_open(&w, golden(layouts[i].folder)));
        assert_string_equal(w->source, "huggingface");
        assert_string_equal(w->prefix, layouts[i].prefix);
        compare(w, "tiny/mqa_short/model.safetensors", "model.");
        assert_ok(gt_weights_identity(w, i ? hex : first));
        if (i) assert_string_equal(hex, first); /* contents count, not names and files */
        gt_weights_close(w);
    }
}

static void other_models_are_other_identities(void **state)
{
    (void)state;
    static const char *const names[] = {"tiny/mqa_short", "tiny/gqa_scaled", "tiny/wide_head",
                                        "tiny/wide_head/layout_bnb_nf4", "tiny/wide_head/layout_bnb_nf4_nested"};
    char hex[5][65];
    for (int i = 0; i < 5; i++) {
        gt_weights *w;
        assert_ok(gt_weights_open(&w, golden(names[i])));
        assert_ok(gt_weights_identity(w, hex[i]));
        assert_int_equal(strlen(hex[i]), 64);
        for (int j = 0; j < i; j++) assert_string_not_equal(hex[i], hex[j]);
        gt_weights_close(w);
    }
}

static void bitsandbytes_weights_are_taken_as_they_are(void **state)
{
    (void)state;
    for (int nested = 0; nested < 2; nested++) {
        char file[100];
        const char *folder = nested ? "tiny/wide_head/layout_bnb_nf4_nested" : "tiny/wide_head/layout_bnb_nf4";
        gt_weights *w;
        assert_ok(gt_weights_open(&w, golden(folder)));
        snprintf(file, sizeof file, "%s/model.safetensors", folder);
        const gt_matrix *m = &w->proj[3][GT_DOWN_PROJ];
        assert_int_equal(m->dtype, GT_NF4);
        assert_int_equal(m->round_to, GT_BF16);
        assert_int_equal(m->block, 64);
        assert_int_equal(m->rows, 128);
        assert_int_equal(m->cols, 320);
        golden_tensor t = golden_find(file, "model.layers.3.mlp.down_proj.weight");
        assert_int_equal(t.bytes, 128 * 320 / 2);
        assert_memory_equal(m->data, t.data, t.bytes);
        t = golden_find(file, "model.layers.3.mlp.down_proj.weight.absmax");
        assert_memory_equal(nested ? (const void *)m->absmax8 : (const void *)m->absmax, t.data, t.bytes);
        t = golden_find(file, "model.layers.3.mlp.down_proj.weight.quant_map");
        assert_memory_equal(m->code, t.data, t.bytes);
        assert_int_equal(m->absmax == NULL, nested);
        if (nested) {
            assert_int_equal(m->block2, 256);
            assert_true(m->offset > 0);
            t = golden_find(file, "model.layers.3.mlp.down_proj.weight.nested_absmax");
            assert_memory_equal(m->absmax2, t.data, t.bytes);
            t = golden_find(file, "model.layers.3.mlp.down_proj.weight.nested_quant_map");
            assert_memory_equal(m->code2, t.data, t.bytes);
        }
        assert_int_equal(w->embed.dtype, GT_BF16);
        gt_weights_close(w);
    }
}

/* A copy of a golden model whose tensors a test changes: the file is written anew from a list of edits. */
typedef struct {
    const char *name;   /* tensor */
    const char *rename; /* or NULL */
    gt_dtype dtype;     /* for shape_of != 0 */
    uint64_t shape[2];  /* new shape; shape[0] == 0: as it was */
    int rank;
    bool drop;
    const char *data; /* new data, zero-padded; NULL: the old ones */
} edit;

static char *edited_model(const char *folder, const edit *e)
{
    char *dir = strdup(temp_dir()), path[1200], *text, *target;
    size_t size;
    snprintf(path, sizeof path, "%s/config.json", golden(folder));
    assert_ok(gt_fs_read(&text, &size, path, 1 << 20));
    target = gt_fs_join(dir, "config.json");
    assert_ok(gt_fs_write(target, text, size));
    free(target);
    free(text);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    gt_safetensors *s = NULL;
    assert_ok(gt_safetensors_open(&s, golden(path)));
    const size_t n = gt_safetensors_count(s);
    gt_safetensor_spec *spec = calloc(n, sizeof *spec);
    const gt_safetensor **source = calloc(n, sizeof *source);
    const edit **how = calloc(n, sizeof *how);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const gt_safetensor *t = gt_safetensors_at(s, i);
        const bool hit = e && strcmp(t->name, e->name) == 0;
        if (hit && e->drop) continue;
        gt_safetensor_spec *o = &spec[count];
        o->name = hit && e->rename ? e->rename : t->name;
        o->dtype = hit && e->shape[0] ? e->dtype : t->dtype;
        o->rank = hit && e->shape[0] ? e->rank : t->rank;
        for (int d = 0; d < o->rank; d++) o->shape[d] = hit && e->shape[0] ? e->shape[d] : t->shape[d];
        source[count] = t;
        how[count++] = hit ? e : NULL;
    }
    gt_safetensors_writer *w;
    target = gt_fs_join(dir, "model.safetensors");
    assert_ok(gt_safetensors_create(&w, target, spec, count, NULL));
    for (size_t i = 0; i < count; i++) {
        size_t bytes = (size_t)gt_dtype_block_bytes(spec[i].dtype);
        for (int d = 0; d < spec[i].rank; d++) bytes *= spec[i].shape[d];
        uint8_t *data = calloc(bytes + 1, 1);
        if (how[i] && how[i]->data)
            memcpy(data, how[i]->data, strlen(how[i]->data));
        else
            memcpy(data, source[i]->data, bytes < source[i]->bytes ? bytes : source[i]->bytes);
        assert_ok(gt_safetensors_write(w, data, bytes));
        free(data);
    }
    assert_ok(gt_safetensors_publish(w));
    free(target);
    gt_safetensors_close(s);
    free(spec);
    free(source);
    free(how);
    return dir;
}

static void refused(const char *folder, edit e, const char *words)
{
    char *dir = edited_model(folder, &e);
    gt_weights *w = NULL;
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, words);
    assert_null(w);
    free(dir);
}

static void wrong_tensors_are_refused_by_name(void **state)
{
    (void)state;
    const char *m = "tiny/mqa_short";
    refused(m, (edit){.name = "model.layers.2.mlp.up_proj.weight", .drop = true}, "model.layers.2.mlp.up_proj.weight");
    refused(m, (edit){.name = "model.norm.weight", .drop = true}, "model.norm.weight");
    refused(m, (edit){.name = "model.embed_tokens.weight", .drop = true}, "embed_tokens");
    refused(m, (edit){.name = "model.layers.2.mlp.up_proj.weight", .dtype = GT_BF16, .shape = {64, 160}, .rank = 2},
            "needs [160, 64]");
    refused(m, (edit){.name = "model.layers.2.mlp.up_proj.weight", .dtype = GT_BF16, .shape = {160 * 64}, .rank = 1},
            "rank 1");
    refused(m, (edit){.name = "model.layers.2.mlp.up_proj.weight", .dtype = GT_I8, .shape = {160, 64}, .rank = 2},
            "I8");
    refused(m, (edit){.name = "model.layers.2.mlp.up_proj.weight", .dtype = GT_U8, .shape = {160 * 32, 1}, .rank = 2},
            "quant_state");
    refused(m, (edit){.name = "model.layers.0.self_attn.q_norm.weight", .dtype = GT_BF16, .shape = {64}, .rank = 1},
            "q_norm");
    refused(m, (edit){.name = "model.layers.0.self_attn.q_norm.weight", .dtype = GT_I32, .shape = {32}, .rank = 1},
            "I32");
    refused(m, (edit){.name = "model.layers.0.self_attn.q_norm.weight", .data = "\xff\x7f\xff\x7f"}, "finite");
    refused(m, (edit){.name = "model.embed_tokens.weight", .dtype = GT_BF16, .shape = {512, 63}, .rank = 2},
            "embed_tokens");
}

static void wrong_packed_tensors_are_refused_by_field(void **state)
{
    (void)state;
#define Q "model.layers.0.self_attn.q_proj.weight"
#define STATE Q ".quant_state.bitsandbytes__nf4"
    static const struct {
        const char *json, *words;
    } states[] = {
        {"{", "quant_state"},
        {"[]", "object"},
        {"{\"quant_type\": \"fp4\"}", "quant_type"},
        {"{\"quant_type\": \"nf4\", \"blocksize\": 48}", "blocksize"},
        {"{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"int8\"}", "dtype"},
        {"{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [256]}", "shape"},
        {"{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [128, 256]}",
         "needs [256, 128]"},
        {"{\"quant_type\": \"nf4\", \"blocksize\": 128, \"dtype\": \"bfloat16\", \"shape\": [256, 128]}", "absmax"},
        {"{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [256, 128], \"x\": 1}",
         "field x"},
        {"{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [256, 128], "
         "\"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": 1e99}",
         "nested_offset"},
        {"{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [256, 128], "
         "\"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": 0.5}",
         "absmax"},
    };
    const char *m = "tiny/wide_head/layout_bnb_nf4";
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        const size_t n = strlen(states[i].json);
        refused(m, (edit){.name = STATE, .dtype = GT_U8, .shape = {n}, .rank = 1, .data = states[i].json},
                i == 0 ? "model.safetensors" : states[i].words);
    }
    refused(m, (edit){.name = Q, .dtype = GT_U8, .shape = {256 * 64 - 1, 1}, .rank = 2}, "bytes of codes");
    refused(m, (edit){.name = Q, .drop = true}, "missing");
    refused(m, (edit){.name = Q ".quant_map", .drop = true}, "quant_map");
    refused(m, (edit){.name = Q ".quant_map", .dtype = GT_F32, .shape = {15}, .rank = 1}, "quant_map");
    refused(m, (edit){.name = Q ".absmax", .dtype = GT_U8, .shape = {512}, .rank = 1}, "absmax");
    refused("tiny/wide_head/layout_bnb_nf4_nested", (edit){.name = Q ".nested_absmax", .drop = true}, "nested_absmax");
    /* another storage dtype holds the same bytes */
    char *dir = edited_model(m, &(edit){.name = Q, .dtype = GT_BF16, .shape = {256 * 32, 1}, .rank = 2});
    gt_weights *w;
    assert_ok(gt_weights_open(&w, dir));
    assert_int_equal(w->proj[0][GT_Q_PROJ].dtype, GT_NF4);
    gt_weights_close(w);
    free(dir);
}

static void fp4_weights_are_taken_too(void **state)
{
    (void)state;
    static const char json[] =
        "{\"quant_type\": \"fp4\", \"blocksize\": 64, \"dtype\": \"float16\", \"shape\": [256, 128]}";
    char *dir = edited_model("tiny/wide_head/layout_bnb_nf4", &(edit){.name = STATE,
                                                                      .rename = Q ".quant_state.bitsandbytes__fp4",
                                                                      .dtype = GT_U8,
                                                                      .shape = {sizeof json - 1},
                                                                      .rank = 1,
                                                                      .data = json});
    gt_weights *w;
    assert_ok(gt_weights_open(&w, dir));
    assert_int_equal(w->proj[0][GT_Q_PROJ].dtype, GT_FP4);
    assert_int_equal(w->proj[0][GT_Q_PROJ].round_to, GT_F16);
    assert_int_equal(w->proj[0][GT_K_PROJ].dtype, GT_NF4);
    gt_weights_close(w);
    free(dir);
}

/* A header of odd length, as old writers made them: the data are no longer aligned and are copied. */
static void misaligned_data_are_copied(void **state)
{
    (void)state;
    char *dir = edited_model("tiny/mqa_short", NULL), *path = gt_fs_join(dir, "model.safetensors"), *bytes;
    size_t size;
    uint64_t n;
    assert_ok(gt_fs_read(&bytes, &size, path, 1 << 24));
    memcpy(&n, bytes, 8);
    char *moved = malloc(size + 1);
    assert_non_null(moved);
    memcpy(moved + 8, bytes + 8, n);
    moved[8 + n] = ' ';
    memcpy(moved + 9 + n, bytes + 8 + n, size - 8 - n);
    n++;
    memcpy(moved, &n, 8);
    assert_ok(gt_fs_write(path, moved, size + 1));
    gt_weights *w;
    assert_ok(gt_weights_open(&w, dir));
    assert_int_equal((uintptr_t)w->proj[3][GT_UP_PROJ].data % 2, 0);
    compare(w, "tiny/mqa_short/model.safetensors", "model.");
    gt_weights_close(w);
    free(moved);
    free(bytes);
    free(path);
    free(dir);
}

static void put(const char *dir, const char *name, const char *text)
{
    char *path = gt_fs_join(dir, name);
    assert_ok(gt_fs_write(path, text, strlen(text)));
    free(path);
}

static void wrong_folders_are_refused(void **state)
{
    (void)state;
    gt_weights *w = NULL;
    char *dir = strdup(temp_dir());
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, "config.json");
    put(dir, "config.json", "{\"model_type\":\"gemma3_text\"}");
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, "model.safetensors.index.json");
    put(dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"../a.safetensors\"}}");
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, "../a.safetensors");
    put(dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"a.bin\"}}");
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, "a.bin");
    put(dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":7}}");
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, "weight_map");
    put(dir, "model.safetensors.index.json", "{\"weight_map\":[]}");
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, "weight_map");
    put(dir, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"a.safetensors\"}}");
    assert_fails(gt_weights_open(&w, dir), GT_ERR_IO, "a.safetensors");
    put(dir, "config.json", "{\"model_type\":\"gemma3_text\",\"quantization_config\":{\"quant_method\":\"gptq\"}}");
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, "gptq");
    put(dir, "config.json",
        "{\"model_type\":\"gemma3_text\",\"quantization_config\":{\"quant_method\":\"bitsandbytes\","
        "\"load_in_8bit\":true}}");
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, "load_in_8bit");
    free(dir);

    assert_fails(gt_weights_open(&w, ""), GT_ERR_DATA, "empty");
    assert_fails(gt_weights_open(&w, "/nowhere/at/all"), GT_ERR_IO, "/nowhere/at/all");
    assert_fails(gt_weights_open(&w, golden("README.md")), GT_ERR_DATA, "README.md");
    assert_fails(gt_weights_open(&w, golden("tiny/mqa_short/model.safetensors")), GT_ERR_DATA, "folder");
}

static void a_tensor_in_the_wrong_shard_is_missing(void **state)
{
    (void)state;
    char *dir = edited_model("tiny/mqa_short", NULL);
    put(dir, "model.safetensors.index.json",
        "{\"metadata\":{\"total_size\":1},\"weight_map\":{\"model.norm.weight\":"
        "\"model.safetensors\",\"model.nothing.weight\":\"model.safetensors\"}}");
    gt_weights *w = NULL;
    assert_fails(gt_weights_open(&w, dir), GT_ERR_DATA, "model.nothing.weight");
    free(dir);
}

static void the_hub_cache_is_searched(void **state)
{
    (void)state;
    char *home = strdup(temp_dir()), *dir = NULL, link[1200];
    gt_weights *w = NULL;
    setenv("HF_HUB_CACHE", home, 1);
    assert_fails(gt_weights_open(&w, "someone/tiny-gemma"), GT_ERR_DATA, "hf download someone/tiny-gemma");
    snprintf(link, sizeof link, "%s/models--someone--tiny-gemma/refs", home);
    assert_ok(gt_fs_make_dirs(link));
    put(link, "main", "0123abcd\n");
    snprintf(link, sizeof link, "%s/models--someone--tiny-gemma/snapshots", home);
    assert_ok(gt_fs_make_dirs(link));
    assert_fails(gt_weights_open(&w, "someone/tiny-gemma"), GT_ERR_DATA, "hf download");
    snprintf(link, sizeof link, "%s/models--someone--tiny-gemma/snapshots/0123abcd", home);
    dir = realpath(golden("tiny/mqa_short"), NULL);
    assert_int_equal(symlink(dir, link), 0);
    assert_ok(gt_weights_open(&w, "someone/tiny-gemma"));
    assert_int_equal(w->config.hidden_size, 64);
    gt_weights_close(w);
    snprintf(link, sizeof link, "%s/models--someone--tiny-gemma/refs", home);
    put(link, "main", "../../../../etc\n");
    assert_fails(gt_weights_open(&w, "someone/tiny-gemma"), GT_ERR_DATA, "hf download");
    put(link, "main", "0123abcd");

    unsetenv("HF_HUB_CACHE"); /* HF_HOME/hub, then XDG_CACHE_HOME/huggingface/hub */
    char *other = strdup(temp_dir());
    snprintf(link, sizeof link, "%s/hub", other);
    assert_int_equal(symlink(home, link), 0);
    setenv("HF_HOME", other, 1);
    assert_ok(gt_weights_open(&w, "someone/tiny-gemma"));
    gt_weights_close(w);
    unsetenv("HF_HOME");
    snprintf(link, sizeof link, "%s/huggingface", other);
    assert_int_equal(symlink(other, link), 0);
    setenv("XDG_CACHE_HOME", other, 1);
    assert_ok(gt_weights_open(&w, "someone/tiny-gemma"));
    gt_weights_close(w);
    free(dir);
    free(other);
    free(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_of_a_model_is_the_same_weights),
        cmocka_unit_test(other_models_are_other_identities),
        cmocka_unit_test(bitsandbytes_weights_are_taken_as_they_are),
        cmocka_unit_test(wrong_tensors_are_refused_by_name),
        cmocka_unit_test(wrong_packed_tensors_are_refused_by_field),
        cmocka_unit_test(fp4_weights_are_taken_too),
        cmocka_unit_test(misaligned_data_are_copied),
        cmocka_unit_test(wrong_folders_are_refused),
        cmocka_unit_test(a_tensor_in_the_wrong_shard_is_missing),
        cmocka_unit_test(the_hub_cache_is_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
