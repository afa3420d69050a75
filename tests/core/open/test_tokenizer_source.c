/* A MODEL brings its tokenizer, be it a folder or a GGUF file: the same ids from either. */
#include "tokenizer_source.h"

#include "fs.h"
#include "gguf_image.h"
#include "real_model.h"
#include "tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(const char *dir, const char *name, const char *text, size_t size)
{
    char *path = gt_fs_join(dir, name);
    assert_ok(gt_fs_write(path, text, size));
    free(path);
}

static void a_folder_brings_its_json_and_config(void **state)
{
    (void)state;
    char *dir = strdup(temp_dir()), *json = small_tokenizer_json("");
    gt_tokenizer *t = (gt_tokenizer *)(uintptr_t)1;
    assert_ok(gt_tokenizer_source_open(&t, dir));
    assert_null(t); /* none, which is no fault */
    assert_fails(gt_tokenizer_source_need(&t, dir), GT_ERR_CONFIG, "tokenizer.json");
    put(dir, "tokenizer.json", json, strlen(json));
    assert_ok(gt_tokenizer_source_need(&t, dir));
    const int32_t eos = gt_tokenizer_get_specials(t)->eos;
    gt_tokenizer_free(t);
    static const char config[] = "{\"eos_token\":\"<end_of_turn>\",\"add_eos_token\":true}";
    put(dir, "tokenizer_config.json", config, strlen(config));
    assert_ok(gt_tokenizer_source_open(&t, dir));
    assert_int_not_equal(gt_tokenizer_get_specials(t)->eos, eos);
    assert_true(gt_tokenizer_get_specials(t)->add_eos);
    gt_tokenizer_free(t);
    t = NULL;
    put(dir, "tokenizer_config.json", "{", 1);
    assert_fails(gt_tokenizer_source_open(&t, dir), GT_ERR_DATA, "tokenizer_config.json");
    assert_null(t);
    put(dir, "tokenizer_config.json", "{}", 2);
    char *file = gt_fs_join(dir, "tokenizer.json");
    assert_ok(gt_tokenizer_source_open(&t, file));
    gt_tokenizer_free(t);
    put(dir, "tokenizer.json", "{\"a\":", 5);
    assert_fails(gt_tokenizer_source_open(&t, file), GT_ERR_DATA, "tokenizer.json");
    put(dir, "tokenizer.json", "", 0);
    assert_fails(gt_tokenizer_source_open(&t, file), GT_ERR_DATA, "tokenizer.json");
    free(file);
    free(json);
    free(dir);
}

static gguf_image vocabulary(const char *model, uint32_t count, uint32_t scores, uint32_t bos)
{
    gguf_image m = {0};
    gguf_put_header(&m, 3, 0, 5);
    gguf_put_key_string(&m, "tokenizer.ggml.model", model);
    gguf_put_key_u32(&m, "tokenizer.ggml.bos_token_id", bos);
    gguf_put_string(&m, "tokenizer.ggml.tokens"), gguf_put_u32(&m, GT_GGUF_ARRAY), gguf_put_u32(&m, GT_GGUF_STRING);
    gguf_put_u64(&m, count);
    for (uint32_t i = 0; i < count; i++) {
        static const char *const first[] = {"<pad>", "<eos>", "<bos>", "<unk>"};
        char text[16];
        snprintf(text, sizeof text, i < 260 ? "<0x%02X>" : "w%u", i < 260 ? i - 4 : i);
        if (i == 260) snprintf(text, sizeof text, "\xE2\x96\x81"); /* what a space becomes: a vocabulary must have it */
        gguf_put_string(&m, i < 4 ? first[i] : text);
    }
    gguf_put_string(&m, "tokenizer.ggml.scores"), gguf_put_u32(&m, GT_GGUF_ARRAY), gguf_put_u32(&m, GT_GGUF_F32);
    gguf_put_u64(&m, scores);
    for (uint32_t i = 0; i < scores; i++) gguf_put(&m, &(float){-(float)i}, 4);
    gguf_put_string(&m, "tokenizer.ggml.token_type"), gguf_put_u32(&m, GT_GGUF_ARRAY), gguf_put_u32(&m, GT_GGUF_I32);
    gguf_put_u64(&m, count);
    for (uint32_t i = 0; i < count; i++) gguf_put_u32(&m, i == 3 ? 2 : i < 4 ? 3 : i < 260 ? 6 : 1);
    return m;
}

static gt_status open_image(gt_tokenizer **t, gguf_image m)
{
    char *path = gt_fs_join(temp_dir(), "v.gguf");
    assert_ok(gt_fs_write(path, m.bytes, m.size));
    gguf_image_free(&m);
    gt_status st = gt_tokenizer_source_open(t, path);
    free(path);
    return st;
}

static void a_gguf_brings_its_vocabulary(void **state)
{
    (void)state;
    gt_tokenizer *t = NULL;
    assert_ok(open_image(&t, vocabulary("llama", 270, 270, 1)));
    assert_int_equal(gt_tokenizer_get_specials(t)->bos, 1);
    size_t size;
    assert_memory_equal(gt_tokenizer_piece(t, 265, &size), "w265", 4);
    gt_tokenizer_free(t);
    t = NULL;
    assert_fails(open_image(&t, vocabulary("gpt2", 270, 270, 2)), GT_ERR_DATA, "gpt2");
    assert_fails(open_image(&t, vocabulary("llama", 270, 269, 2)), GT_ERR_DATA, "tokenizer.ggml.scores");
    assert_fails(open_image(&t, vocabulary("llama", 270, 270, 300)), GT_ERR_DATA, "v.gguf");
    assert_fails(open_image(&t, vocabulary("llama", 270, 270, UINT32_MAX)), GT_ERR_DATA, "bos_token_id");
    gguf_image none = {0};
    gguf_put_header(&none, 3, 0, 0);
    assert_ok(open_image(&t, none));
    assert_null(t);
}

static void what_is_no_model_is_refused(void **state)
{
    (void)state;
    gt_tokenizer *t = NULL;
    assert_fails(gt_tokenizer_source_open(&t, "/nowhere/at/all"), GT_ERR_IO, "/nowhere/at/all");
    assert_fails(gt_tokenizer_source_open(&t, golden("README.md")), GT_ERR_DATA, "README.md");
    assert_null(t);
}

/* The GGUF's pieces make the model's own tokenizer: the golden ids come out. */
static void the_real_gguf_tokenizes_as_the_model(void **state)
{
    (void)state;
    gt_tokenizer *t = NULL;
    const char *path = real_270m();
    assert_ok(gt_tokenizer_source_need(&t, path));
    assert_int_equal(gt_tokenizer_size(t), 262145); /* and <image_soft_token> */
    assert_int_equal(gt_tokenizer_get_specials(t)->bos, 2);
    assert_int_equal(gt_tokenizer_get_specials(t)->eos, 1);
    assert_true(gt_tokenizer_get_specials(t)->add_bos && !gt_tokenizer_get_specials(t)->add_eos);
    assert_int_equal(for_each_line(golden("tokenizer/cases.jsonl"), t, check_golden_text), 1500);
    gt_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_brings_its_json_and_config),
        cmocka_unit_test(a_gguf_brings_its_vocabulary),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(the_real_gguf_tokenizes_as_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
