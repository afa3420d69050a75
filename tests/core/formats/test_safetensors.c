/* Safetensors files made byte by byte, then made wrong in one place at a time; and what we write, read back. */
#include "safetensors.h"

#include "fs.h"
#include "golden_tensor.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file image: length, header, `data` bytes of data counting up from 0. */
typedef struct {
    uint8_t bytes[4096];
    size_t size;
} image;

static image make(const char *header, size_t data)
{
    image m = {.size = 8 + strlen(header) + data};
    assert_true(m.size <= sizeof m.bytes);
    const uint64_t n = strlen(header);
    for (int i = 0; i < 8; i++) m.bytes[i] = (uint8_t)(n >> (8 * i));
    memcpy(m.bytes + 8, header, strlen(header));
    for (size_t i = 0; i < data; i++) m.bytes[8 + strlen(header) + i] = (uint8_t)i;
    return m;
}

/* Parsed from an exact heap copy, so that the sanitizer sees a read past the end. */
static gt_status parse(gt_safetensors **s, const image *m, uint8_t **copy)
{
    *copy = malloc(m->size ? m->size : 1);
    assert_non_null(*copy);
    memcpy(*copy, m->bytes, m->size);
    return gt_safetensors_open_bytes(s, *copy, m->size, "x.safetensors");
}

static void refused(const char *header, size_t data, const char *words)
{
    const image m = make(header, data);
    gt_safetensors *s = NULL;
    uint8_t *copy;
    gt_status st = parse(&s, &m, &copy);
    if (st != GT_ERR_DATA) fail_msg("accepted or wrong code %d: %s", (int)st, header);
    if (!strstr(gt_error_last()->message, words) || !strstr(gt_error_last()->message, "x.safetensors"))
        fail_msg("'%s' does not say '%s'", gt_error_last()->message, words);
    assert_null(s);
    free(copy);
}

static void a_small_file_is_read(void **state)
{
    (void)state;
    const image m = make("{\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[2,26]},"
                         "\"__metadata__\":{\"format\":\"pt\",\"a\":\"b\"},"
                         "\"scalar\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[26,27]},"
                         "\"a\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]},"
                         "\"none\":{\"dtype\":\"F64\",\"shape\":[0,7],\"data_offsets\":[26,26]},"
                         "\"f8\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[27,30]},"
                         "\"f4\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[30,31]}}   ",
                         31);
    gt_safetensors *s = NULL;
    uint8_t *copy;
    assert_ok(parse(&s, &m, &copy));
    assert_int_equal(gt_safetensors_count(s), 6);
    assert_string_equal(gt_safetensors_at(s, 0)->name, "a");
    assert_null(gt_safetensors_at(s, 6));
    const gt_safetensor *t = gt_safetensors_find(s, "b");
    assert_int_equal(t->dtype, GT_F32);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->shape[0], 2);
    assert_int_equal(t->shape[1], 3);
    assert_int_equal(t->elements, 6);
    assert_int_equal(t->bytes, 24);
    assert_int_equal(*(const uint8_t *)t->data, 2);
    assert_int_equal(gt_safetensors_find(s, "scalar")->elements, 1);
    assert_int_equal(gt_safetensors_find(s, "none")->bytes, 0);
    assert_int_equal(gt_safetensors_find(s, "f8")->dtype, GT_SAFETENSORS_OPAQUE);
    assert_string_equal(gt_safetensors_find(s, "f8")->dtype_name, "F8_E4M3");
    assert_null(gt_safetensors_find(s, "c"));
    assert_string_equal(gt_safetensors_metadata(s, "format"), "pt");
    assert_null(gt_safetensors_metadata(s, "c"));
    const char *key;
    assert_int_equal(gt_safetensors_metadata_count(s), 2);
    assert_string_equal(gt_safetensors_metadata_at(s, 1, &key), "b");
    assert_string_equal(key, "a");
    gt_safetensors_close(s);
    free(copy);
}

static void an_empty_file_of_tensors_is_read(void **state)
{
    (void)state;
    const image m = make("{}", 0);
    gt_safetensors *s = NULL;
    uint8_t *copy;
    assert_ok(parse(&s, &m, &copy));
    assert_int_equal(gt_safetensors_count(s), 0);
    assert_null(gt_safetensors_find(s, "a"));
    gt_safetensors_close(s);
    free(copy);
}

#define ONE(dtype, shape, offsets) "{\"t\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void wrong_headers_are_refused(void **state)
{
    (void)state;
    refused("", 0, "does not begin with '{'");
    refused(" {}", 0, "does not begin with '{'");
    refused("[]", 0, "does not begin with '{'");
    refused("{} x", 0, "");
    refused("{\"t\":", 0, "");
    refused("{\"t\":1}", 0, "object");
    refused("{\"t\":{}}", 0, "dtype");
    refused("{\"\\u0000\":{}}", 0, "NUL");
    refused("{\"\xff\":{}}", 0, "");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__");
    refused("{\"__metadata__\":\"a\"}", 0, "__metadata__");
    refused(ONE("\"F33\"", "[1]", "[0,4]"), 4, "F33");
    refused(ONE("7", "[1]", "[0,4]"), 4, "dtype");
    refused(ONE("\"F32\"", "1", "[0,4]"), 4, "shape");
    refused(ONE("\"F32\"", "[-1]", "[0,4]"), 4, "shape[0]");
    refused(ONE("\"F32\"", "[1.0]", "[0,4]"), 4, "shape[0]");
    refused(ONE("\"F32\"", "[1,\"1\"]", "[0,4]"), 4, "shape[1]");
    refused(ONE("\"F32\"", "[1]", "[0]"), 4, "data_offsets");
    refused(ONE("\"F32\"", "[1]", "[0,4,4]"), 4, "data_offsets");
    refused(ONE("\"F32\"", "[1]", "[4,0]"), 4, "data_offsets");
    refused(ONE("\"F32\"", "[1]", "[0,-4]"), 4, "data_offsets");
    refused(ONE("\"F32\"", "[1]", "[0,18446744073709551616]"), 4, "data_offsets");
    refused("{\"t\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets");
    refused("{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "shape");
    refused("{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            2, "t");
}

static void sizes_that_do_not_agree_are_refused(void **state)
{
    (void)state;
    refused(ONE("\"F32\"", "[2]", "[0,4]"), 4, "need 8");
    refused(ONE("\"BF16\"", "[1]", "[0,4]"), 4, "need 2");
    refused(ONE("\"F32\"", "[1]", "[0,4]"), 3, "leave the 3 data bytes");
    refused(ONE("\"F32\"", "[1]", "[0,4]"), 5, "bytes without a tensor");
    refused("{}", 1, "bytes without a tensor");
    refused(ONE("\"F32\"", "[1]", "[1,5]"), 5, "hole");
    refused(ONE("\"F4\"", "[3]", "[0,1]"), 1, "no whole number of bytes");
    refused(ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "overflow");
    refused(ONE("\"F32\"", "[4611686018427387905]", "[0,4]"), 4, "overflow");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
            7, "overlaps");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
            4, "overlaps");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
            5, "hole");
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    const image whole = make("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                             "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[2,10]}}",
                             10);
    for (size_t size = 0; size < whole.size; size++) {
        image m = whole;
        m.size = size;
        gt_safetensors *s = NULL;
        uint8_t *copy;
        assert_int_equal(parse(&s, &m, &copy), GT_ERR_DATA);
        free(copy);
    }
}

static void header_lengths_beyond_the_limit_or_the_file_are_refused(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {100000001, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63, 3};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        image m = make("{}", 0);
        for (int i = 0; i < 8; i++) m.bytes[i] = (uint8_t)(wrong[k] >> (8 * i));
        gt_safetensors *s = NULL;
        uint8_t *copy;
        assert_int_equal(parse(&s, &m, &copy), GT_ERR_DATA);
        free(copy);
    }
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    char *path = gt_fs_join(temp_dir(), "w.safetensors");
    static const gt_safetensor_spec spec[] = {{"first \"quoted\"", GT_F32, 2, {2, 2}},
                                              {"second", GT_BF16, 1, {3}},
                                              {"empty", GT_U8, 2, {0, 9}},
                                              {"scalar", GT_I64, 0, {0}}};
    static const char *const extra[] = {"merged_into", "dequantized", NULL};
    const float a[4] = {1, 2, 3, 4};
    const uint16_t b[3] = {7, 8, 9};
    const int64_t c = -5;
    gt_safetensors_writer *w;
    assert_ok(gt_safetensors_create(&w, path, spec, 4, extra));
    assert_ok(gt_safetensors_write(w, a, 10)); /* pieces may cut elements */
    assert_ok(gt_safetensors_write(w, (const uint8_t *)a + 10, 6));
    assert_false(gt_fs_exists(path)); /* not there before it is whole */
    assert_ok(gt_safetensors_write(w, b, sizeof b));
    assert_ok(gt_safetensors_write(w, &c, sizeof c));
    assert_fails(gt_safetensors_write(w, &c, 1), GT_ERR_ARG, "1 more bytes");
    assert_ok(gt_safetensors_publish(w));

    gt_safetensors *s;
    assert_ok(gt_safetensors_open(&s, path));
    assert_int_equal(gt_safetensors_count(s), 4);
    const gt_safetensor *t = gt_safetensors_find(s, "first \"quoted\"");
    assert_int_equal((uintptr_t)t->data % 8, 0);
    assert_memory_equal(t->data, a, sizeof a);
    assert_memory_equal(gt_safetensors_find(s, "second")->data, b, sizeof b);
    assert_memory_equal(gt_safetensors_find(s, "scalar")->data, &c, sizeof c);
    assert_string_equal(gt_safetensors_metadata(s, "format"), "pt");
    assert_string_equal(gt_safetensors_metadata(s, "merged_into"), "dequantized");
    gt_safetensors_close(s);
    free(path);
}

static void an_unfinished_file_leaves_nothing(void **state)
{
    (void)state;
    char *dir = strdup(temp_dir()), *path = gt_fs_join(dir, "w.safetensors");
    static const gt_safetensor_spec spec[] = {{"a", GT_U8, 1, {4}}, {"b", GT_U8, 1, {4}}};
    static const gt_safetensor_spec twice[] = {{"a", GT_U8, 1, {4}}, {"a", GT_U8, 1, {4}}};
    static const gt_safetensor_spec huge[] = {{"a", GT_U8, 2, {UINT64_MAX, 2}}};
    static const gt_safetensor_spec block[] = {{"a", GT_Q4_0, 1, {32}}};
    gt_safetensors_writer *w;
    assert_ok(gt_safetensors_create(&w, path, spec, 2, NULL));
    assert_ok(gt_safetensors_write(w, "1234", 4));
    assert_fails(gt_safetensors_publish(w), GT_ERR_ARG, "4 bytes");
    assert_ok(gt_safetensors_create(&w, path, spec, 2, NULL));
    gt_safetensors_abandon(w);
    assert_fails(gt_safetensors_create(&w, path, twice, 2, NULL), GT_ERR_ARG, "twice");
    assert_fails(gt_safetensors_create(&w, path, huge, 1, NULL), GT_ERR_ARG, "overflow");
    assert_fails(gt_safetensors_create(&w, path, block, 1, NULL), GT_ERR_ARG, "Q4_0");
    assert_int_equal(rmdir(dir), 0); /* empty: no temporary file is left */
    free(path);
    free(dir);
}

/* Other writers' files: every tensor is the one that the tests' own reader finds. */
static void golden_files_are_read(void **state)
{
    (void)state;
    static const char *const files[] = {"tiny/gqa_scaled/forward.safetensors", "tiny/gqa_scaled/model.safetensors",
                                        "tiny/wide_head/layout_bnb_nf4_nested/model.safetensors"};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        gt_safetensors *s = NULL;
        assert_ok(gt_safetensors_open(&s, golden(files[f])));
        assert_true(gt_safetensors_count(s) > 10);
        for (size_t i = 0; i < gt_safetensors_count(s); i++) {
            const gt_safetensor *got = gt_safetensors_at(s, i);
            const golden_tensor want = golden_find(files[f], got->name);
            assert_int_equal(got->dtype, want.dtype);
            assert_int_equal(got->rank, want.rank);
            for (int d = 0; d < want.rank; d++) assert_int_equal(got->shape[d], want.shape[d]);
            assert_int_equal(got->elements, want.elements);
            assert_int_equal(got->bytes, want.bytes);
            assert_memory_equal(got->data, want.data, want.bytes);
        }
        gt_safetensors_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_is_read),
        cmocka_unit_test(an_empty_file_of_tensors_is_read),
        cmocka_unit_test(wrong_headers_are_refused),
        cmocka_unit_test(sizes_that_do_not_agree_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(header_lengths_beyond_the_limit_or_the_file_are_refused),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(an_unfinished_file_leaves_nothing),
        cmocka_unit_test(golden_files_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
