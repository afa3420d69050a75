/* Folders in shards: what is larger than the limit is cut into files with an index, and opens as the same model. The
 * limit is 5 GB in exports; here a few KB. */
#include "testing.h"

#include "fs.h"
#include "hf_folder.h"
#include "json.h"
#include "tensor_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tensors of bytes; the producer repeats each one's number. */
static void describe(gt_hf_tensor *t, const char *name, int module, uint64_t bytes)
{
    *t = (gt_hf_tensor){.dtype = GT_U8, .rank = 1, .shape = {bytes}, .module = module};
    snprintf(t->name, sizeof t->name, "%s", name);
}

static gt_status produce_bytes(void *user, const gt_hf_tensor *t, gt_safetensors_writer *w)
{
    (void)user;
    uint8_t byte = (uint8_t)t->module;
    for (uint64_t i = 0; i < t->shape[0]; i++) GT_TRY(gt_safetensors_write(w, &byte, 1));
    return GT_OK;
}

static size_t tensors_in(const char *folder, const char *file)
{
    gt_safetensors *s;
    assert_ok(gt_safetensors_open(&s, path_in(folder, file)));
    const size_t count = gt_safetensors_count(s);
    gt_safetensors_close(s);
    return count;
}

/* Files fill in the given order: up to the limit and not a byte more, and a tensor above it has one of its own. */
static void files_are_filled_to_the_limit(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    enum { COUNT = 6, LIMIT = 100 };
    static const uint64_t bytes[COUNT] = {60, 40, 1, 250, 99, 2}; /* 60+40 | 1 | 250 | 99 | 2 */
    static const char *const name[COUNT] = {"f", "e", "d", "c", "b", "a"};
    gt_hf_tensor t[COUNT];
    for (int i = 0; i < COUNT; i++) describe(&t[i], name[i], i + 1, bytes[i]);
    assert_ok(gt_hf_write_tensors(dir, t, COUNT, LIMIT, NULL, produce_bytes, NULL));
    static const size_t want[] = {2, 1, 1, 1, 1};
    for (int i = 0; i < 5; i++) {
        char file[64];
        snprintf(file, sizeof file, "model-%05d-of-00005.safetensors", i + 1);
        assert_int_equal(tensors_in(dir, file), want[i]);
    }
    assert_false(gt_fs_exists(path_in(dir, "model-00006-of-00005.safetensors")));
    assert_false(gt_fs_exists(path_in(dir, "model.safetensors")));

    gt_tensor_set *set; /* which also checks that every tensor is in the file that the index names */
    assert_ok(gt_tensor_set_open(&set, dir));
    assert_int_equal(gt_tensor_set_count(set), COUNT);
    for (int i = 0; i < COUNT; i++) {
        const gt_safetensor *got = gt_tensor_set_find(set, name[i]);
        assert_non_null(got);
        assert_int_equal(got->bytes, bytes[i]);
        for (size_t k = 0; k < got->bytes; k++) assert_int_equal(((const uint8_t *)got->data)[k], i + 1);
    }
    gt_tensor_set_close(set);

    char *text;
    size_t size;
    gt_json_doc *doc;
    assert_ok(gt_fs_read(&text, &size, path_in(dir, "model.safetensors.index.json"), 1 << 20));
    assert_ok(gt_json_parse(&doc, text, size, "index"));
    assert_int_equal(gt_json_get(gt_json_get(gt_json_root(doc), "metadata"), "total_size")->integer, 452);
    gt_json_free(doc);
    free(text);
}

static void what_fits_is_one_file_without_an_index(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    gt_hf_tensor t[2];
    describe(&t[0], "x", 1, 60);
    describe(&t[1], "y", 2, 40);
    assert_ok(gt_hf_write_tensors(dir, t, 2, 100, NULL, produce_bytes, NULL));
    assert_int_equal(tensors_in(dir, "model.safetensors"), 2);
    assert_false(gt_fs_exists(path_in(dir, "model.safetensors.index.json")));
}

static gt_status copy_tensor(void *user, const gt_hf_tensor *t, gt_safetensors_writer *w)
{
    const gt_safetensor *from = gt_safetensors_find(user, t->name);
    return gt_safetensors_write(w, from->data, from->bytes);
}

static void a_model_in_shards_is_the_same_model(void **state)
{
    (void)state;
    const char *model = golden("tiny/gqa_scaled"), *dir = temp_dir();
    gt_safetensors *s;
    assert_ok(gt_safetensors_open(&s, path_in(model, "model.safetensors")));
    const size_t count = gt_safetensors_count(s);
    gt_hf_tensor *t = calloc(count, sizeof *t);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const gt_safetensor *from = gt_safetensors_at(s, i);
        t[i] = (gt_hf_tensor){.dtype = from->dtype, .rank = from->rank};
        for (int d = 0; d < from->rank; d++) t[i].shape[d] = from->shape[d];
        snprintf(t[i].name, sizeof t[i].name, "%s", from->name);
        total += from->bytes;
    }
    assert_ok(gt_hf_write_tensors(dir, t, count, total / 4, NULL, copy_tensor, s));
    free(t);
    gt_safetensors_close(s);

    gt_weights *want, *got;
    assert_ok(gt_weights_open(&want, model));
    char *config;
    size_t size;
    assert_ok(gt_fs_read(&config, &size, path_in(model, "config.json"), 1 << 20));
    assert_ok(gt_fs_write(path_in(dir, "config.json"), config, size));
    free(config);
    assert_true(gt_fs_exists(path_in(dir, "model.safetensors.index.json")));
    assert_ok(gt_weights_open(&got, dir));
    char a[65], b[65];
    assert_ok(gt_weights_identity(want, a));
    assert_ok(gt_weights_identity(got, b));
    assert_string_equal(a, b);
    gt_weights_close(want);
    gt_weights_close(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_filled_to_the_limit),
        cmocka_unit_test(what_fits_is_one_file_without_an_index),
        cmocka_unit_test(a_model_in_shards_is_the_same_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
