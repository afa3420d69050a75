/* GGUF files made in memory, then made wrong in one place at a time: each is refused in words that name that place, and
 * no truncation is read past. */
#include "gguf.h"

#include "fs.h"
#include "gguf_image.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parsed from an exact heap copy, so that the sanitizer sees a read past the end. */
static gt_status parse(gt_gguf **g, const gguf_image *m, size_t size, uint8_t **copy)
{
    *copy = malloc(size ? size : 1);
    assert_non_null(*copy);
    if (size) memcpy(*copy, m->bytes, size);
    return gt_gguf_open_bytes(g, *copy, size, "x.gguf");
}

static void refused(gguf_image *m, const char *words)
{
    gt_gguf *g = NULL;
    uint8_t *copy;
    gt_status st = parse(&g, m, m->size, &copy);
    if (st != GT_ERR_DATA) fail_msg("accepted or wrong code %d, expected '%s'", (int)st, words);
    if (!strstr(gt_error_last()->message, words) || !strstr(gt_error_last()->message, "x.gguf"))
        fail_msg("'%s' does not say '%s'", gt_error_last()->message, words);
    assert_null(g);
    free(copy);
    gguf_image_free(m);
}

static const uint64_t vector8[] = {8, 0}, matrix[] = {32, 3, 0};

static void values_of_every_type_are_read(void **state)
{
    (void)state;
    gguf_image m = {0};
    gguf_put_header(&m, 3, 1, 9);
    gguf_put_key_u32(&m, "general.alignment", 64);
    gguf_put_key_f32(&m, "f", 1.5f);
    gguf_put_key_string(&m, "s", "text");
    gguf_put_string(&m, "neg"), gguf_put_u32(&m, GT_GGUF_I8), gguf_put(&m, "\xfb", 1);
    gguf_put_string(&m, "yes"), gguf_put_u32(&m, GT_GGUF_BOOL), gguf_put(&m, "\1", 1);
    gguf_put_string(&m, "big"), gguf_put_u32(&m, GT_GGUF_U64), gguf_put_u64(&m, UINT64_MAX);
    gguf_put_string(&m, "words"), gguf_put_u32(&m, GT_GGUF_ARRAY), gguf_put_u32(&m, GT_GGUF_STRING),
        gguf_put_u64(&m, 3);
    gguf_put_string(&m, "a"), gguf_put_string(&m, ""), gguf_put_string(&m, "bcd");
    gguf_put_string(&m, "ints"), gguf_put_u32(&m, GT_GGUF_ARRAY), gguf_put_u32(&m, GT_GGUF_I32), gguf_put_u64(&m, 2);
    gguf_put_u32(&m, 7), gguf_put_u32(&m, (uint32_t)-8);
    gguf_put_string(&m, "nested"), gguf_put_u32(&m, GT_GGUF_ARRAY), gguf_put_u32(&m, GT_GGUF_ARRAY),
        gguf_put_u64(&m, 1);
    gguf_put_u32(&m, GT_GGUF_STRING), gguf_put_u64(&m, 1), gguf_put_string(&m, "in");
    gguf_put_info(&m, "t", matrix, 0, 64);
    gguf_put_padding(&m, 64);
    for (int i = 0; i < 16; i++) gguf_put_u32(&m, 0); /* a gap before the tensor is no fault */
    for (int i = 0; i < 96; i++) gguf_put_u32(&m, (uint32_t)i);

    gt_gguf *g;
    uint8_t *copy;
    assert_ok(parse(&g, &m, m.size, &copy));
    int64_t n = 0;
    double d = 0;
    bool b = false;
    const char *s = NULL;
    size_t size = 0;
    assert_ok(gt_gguf_get_int(g, "neg", &n));
    assert_int_equal(n, -5);
    assert_ok(gt_gguf_get_double(g, "f", &d));
    assert_true(d == 1.5);
    assert_ok(gt_gguf_get_double(g, "neg", &d));
    assert_true(d == -5);
    assert_ok(gt_gguf_get_bool(g, "yes", &b));
    assert_true(b);
    assert_ok(gt_gguf_get_string(g, "s", &s, &size));
    assert_int_equal(size, 4);
    assert_memory_equal(s, "text", 4);
    assert_ok(gt_gguf_get_int(g, "absent", &n));
    assert_int_equal(n, -5);
    assert_fails(gt_gguf_get_int(g, "big", &n), GT_ERR_DATA, "big");
    assert_fails(gt_gguf_get_int(g, "f", &n), GT_ERR_DATA, "f32");
    assert_fails(gt_gguf_get_string(g, "f", &s, &size), GT_ERR_DATA, "string");
    assert_fails(gt_gguf_get_bool(g, "f", &b), GT_ERR_DATA, "bool");
    gt_gguf_array a;
    assert_ok(gt_gguf_get_array(g, "words", &a));
    assert_int_equal(a.count, 3);
    assert_int_equal(a.type, GT_GGUF_STRING);
    static const char *const words[] = {"a", "", "bcd"};
    for (int i = 0; i < 3; i++) {
        gt_gguf_next_string(&a, &s, &size);
        assert_int_equal(size, strlen(words[i]));
        assert_memory_equal(s, words[i], size);
    }
    int32_t ints[2];
    float floats[2];
    assert_ok(gt_gguf_copy_i32(g, "ints", ints, 2));
    assert_int_equal(ints[1], -8);
    assert_ok(gt_gguf_copy_f32(g, "ints", floats, 2));
    assert_true(floats[0] == 7);
    assert_fails(gt_gguf_copy_i32(g, "ints", ints, 1), GT_ERR_DATA, "2 elements");
    assert_fails(gt_gguf_copy_i32(g, "words", ints, 3), GT_ERR_DATA, "string");
    assert_fails(gt_gguf_copy_i32(g, "absent", ints, 3), GT_ERR_DATA, "missing");
    assert_fails(gt_gguf_get_array(g, "s", &a), GT_ERR_DATA, "array");
    const gt_gguf_tensor *t = gt_gguf_find(g, "t");
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->dim[0], 32);
    assert_int_equal(t->dim[1], 3);
    assert_int_equal(t->dim[3], 1);
    assert_int_equal(t->bytes, 384);
    assert_int_equal(((const uint32_t *)t->data)[95], 95);
    assert_null(gt_gguf_find(g, "u"));
    gt_gguf_close(g);
    free(copy);
    gguf_image_free(&m);
}

/* One file of one metadata key and one tensor whose parts a case replaces. */
static gguf_image with_info(const uint64_t *dims, uint32_t type, uint64_t offset, size_t data)
{
    gguf_image m = {0};
    gguf_put_header(&m, 3, 1, 0);
    gguf_put_info(&m, "t", dims, type, offset);
    gguf_put_padding(&m, 32);
    for (size_t i = 0; i < data; i++) gguf_put(&m, "", 1);
    return m;
}

static void wrong_headers_are_refused(void **state)
{
    (void)state;
    gguf_image m = {0};
    gguf_put(&m, "FGUG", 4), gguf_put_u32(&m, 3), gguf_put_u64(&m, 0), gguf_put_u64(&m, 0);
    refused(&m, "GGUF");
    static const uint32_t versions[] = {0, 1, 4, 0x03000000, UINT32_MAX};
    for (size_t i = 0; i < 5; i++) {
        gguf_put_header(&m, versions[i], 0, 0);
        refused(&m, i == 3 ? "big-endian" : "version");
    }
    gguf_put_header(&m, 3, 0, UINT64_MAX), refused(&m, "keys");
    gguf_put_header(&m, 3, UINT64_MAX, 0), refused(&m, "tensors");
    gguf_put_header(&m, 3, 0, 1), refused(&m, "keys");
    gguf_put_header(&m, 3, 1, 0), refused(&m, "tensors");
    gguf_put(&m, "GGUF", 4), refused(&m, "GGUF");
    gguf_put(&m, "", 0), refused(&m, "GGUF");
    gguf_put_header(&m, 2, 0, 0);
    gt_gguf *g = NULL;
    uint8_t *copy;
    char *empty = gt_fs_join(temp_dir(), "empty.gguf");
    assert_ok(gt_fs_write(empty, "", 0));
    assert_fails(gt_gguf_open(&g, empty), GT_ERR_DATA, "0 bytes");
    free(empty);
    assert_ok(parse(&g, &m, m.size, &copy));
    assert_int_equal(gt_gguf_count(g), 0);
    gt_gguf_close(g);
    free(copy);
    gguf_image_free(&m);
}

static void wrong_metadata_is_refused(void **state)
{
    (void)state;
    gguf_image m = {0};
    gguf_put_header(&m, 3, 0, 1), gguf_put_u64(&m, UINT64_MAX), gguf_put(&m, "abcdefgh", 8);
    refused(&m, "key 0");
    gguf_put_header(&m, 3, 0, 1), gguf_put_key_u32(&m, "", 1), gguf_put_u32(&m, 0);
    refused(&m, "key 0");
    gguf_put_header(&m, 3, 0, 1), gguf_put_key_u32(&m, "a\x1b[2J", 1);
    refused(&m, "ASCII");
    gguf_put_header(&m, 3, 0, 1), gguf_put_string(&m, "abc"), gguf_put_u32(&m, 13), gguf_put_u32(&m, 0);
    refused(&m, "type 13");
    gguf_put_header(&m, 3, 0, 2), gguf_put_key_u32(&m, "abc", 1), gguf_put_key_u32(&m, "abc", 1);
    refused(&m, "twice");
    gguf_put_header(&m, 3, 0, 1), gguf_put_string(&m, "abc"), gguf_put_u32(&m, GT_GGUF_BOOL), gguf_put(&m, "\2", 1);
    refused(&m, "bool");
    gguf_put_header(&m, 3, 0, 1), gguf_put_string(&m, "abc"), gguf_put_u32(&m, GT_GGUF_STRING),
        gguf_put_u64(&m, 1u << 30);
    refused(&m, "abc");
    gguf_put_header(&m, 3, 0, 1), gguf_put_string(&m, "abc"), gguf_put_u32(&m, GT_GGUF_ARRAY), gguf_put_u32(&m, 77);
    gguf_put_u64(&m, 1), refused(&m, "type 77");
    gguf_put_header(&m, 3, 0, 1), gguf_put_string(&m, "abc"), gguf_put_u32(&m, GT_GGUF_ARRAY),
        gguf_put_u32(&m, GT_GGUF_U64);
    gguf_put_u64(&m, ((uint64_t)1 << 61) + 1), gguf_put_u64(&m, 0);
    refused(&m, "abc");
    gguf_put_header(&m, 3, 0, 1), gguf_put_string(&m, "abc"), gguf_put_u32(&m, GT_GGUF_ARRAY),
        gguf_put_u32(&m, GT_GGUF_STRING);
    gguf_put_u64(&m, UINT64_MAX), gguf_put_string(&m, "a");
    refused(&m, "abc");
    gguf_put_header(&m, 3, 0, 1), gguf_put_string(&m, "abc"), gguf_put_u32(&m, GT_GGUF_ARRAY);
    for (int i = 0; i < 20; i++) gguf_put_u32(&m, GT_GGUF_ARRAY), gguf_put_u64(&m, 1);
    refused(&m, "nested");
    static const uint32_t alignments[] = {0, 4, 12, 1u << 31};
    for (size_t i = 0; i < 4; i++) {
        gguf_put_header(&m, 3, 0, 1), gguf_put_key_u32(&m, "general.alignment", alignments[i]);
        refused(&m, "general.alignment");
    }
    gguf_put_header(&m, 3, 0, 1), gguf_put_key_f32(&m, "general.alignment", 32);
    refused(&m, "general.alignment");
}

static void wrong_tensors_are_refused(void **state)
{
    (void)state;
    gguf_image m = {0};
    static const uint64_t five[] = {1, 1, 1, 1, 1, 0}, huge[] = {(uint64_t)1 << 40, (uint64_t)1 << 40, 0};
    static const uint64_t top[] = {(uint64_t)1 << 63, 0}, odd[] = {33, 32, 0}, most[] = {(uint64_t)1 << 62, 0};
    gguf_put_header(&m, 3, 1, 0), gguf_put_u64(&m, 65),
        gguf_put(&m,
                 "012345678901234567890123456789012345678901234567890123456789"
                 "01234567890123456789",
                 80);
    refused(&m, "name of tensor 0");
    gguf_put_header(&m, 3, 1, 0), gguf_put_info(&m, "a\nb", vector8, 0, 0), gguf_put_padding(&m, 64);
    refused(&m, "control character");
    m = with_info(five, 0, 0, 64), refused(&m, "5 dimensions");
    m = with_info(huge, 0, 0, 64), refused(&m, "overflow");
    m = with_info(top, 0, 0, 64), refused(&m, "overflow");
    m = with_info(most, 0, 0, 64), refused(&m, "overflow");
    m = with_info(odd, 2, 0, 4096), refused(&m, "Q4_0");
    m = with_info(vector8, 10, 0, 64), refused(&m, "Q2_K");
    m = with_info(vector8, 4, 0, 64), refused(&m, "type 4");
    m = with_info(vector8, UINT32_MAX, 0, 64), refused(&m, "type 4294967295");
    m = with_info(vector8, 0, 8, 64), refused(&m, "alignment");
    m = with_info(vector8, 0, 64, 64), refused(&m, "leave the file");
    m = with_info(vector8, 0, UINT64_MAX - 31, 64), refused(&m, "leave the file");
    m = with_info(vector8, 0, 0, 31), refused(&m, "cut short");
    gguf_put_header(&m, 3, 1, 0), gguf_put_string(&m, "t"), gguf_put_u32(&m, 1), gguf_put_u64(&m, 0),
        gguf_put_u32(&m, 0);
    gguf_put_u64(&m, 0), refused(&m, "dimension 0 is 0");
    gguf_put_header(&m, 3, 2, 0), gguf_put_info(&m, "a", vector8, 0, 0), gguf_put_info(&m, "a", vector8, 0, 32);
    gguf_put_padding(&m, 32), gguf_put(&m, (uint8_t[64]){0}, 64);
    refused(&m, "twice");
    gguf_put_header(&m, 3, 2, 0), gguf_put_info(&m, "a", matrix, 0, 0), gguf_put_info(&m, "b", vector8, 0, 32);
    gguf_put_padding(&m, 32), gguf_put(&m, (uint8_t[384]){0}, 384);
    refused(&m, "overlap");
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    gguf_image m = {0};
    gguf_put_tiny_gemma(&m, 1);
    gt_gguf *g = NULL;
    uint8_t *copy;
    assert_ok(parse(&g, &m, m.size, &copy));
    assert_int_equal(gt_gguf_count(g), 15);
    gt_gguf_close(g);
    free(copy);
    for (size_t size = 0; size < m.size; size += size < 2048 ? 1 : 997) {
        g = NULL;
        assert_int_equal(parse(&g, &m, size, &copy), GT_ERR_DATA);
        assert_null(g);
        free(copy);
    }
    gguf_image_free(&m);
}

/* Two files of one tensor each. */
static void write_split(const char *dir, int number, uint32_t no, uint32_t count, uint32_t tensors, const char *name)
{
    gguf_image m = {0};
    char path[1200];
    gguf_put_header(&m, 3, 1, 3);
    gguf_put_key_u32(&m, "split.no", no);
    gguf_put_key_u32(&m, "split.count", count);
    gguf_put_key_u32(&m, "split.tensors.count", tensors);
    gguf_put_info(&m, name, vector8, 0, 0);
    gguf_put_padding(&m, 32);
    for (int i = 0; i < 8; i++) gguf_put_u32(&m, no);
    snprintf(path, sizeof path, "%s/m-%05d-of-00002.gguf", dir, number);
    assert_ok(gt_fs_write(path, m.bytes, m.size));
    gguf_image_free(&m);
}

static void split_files_are_one_model(void **state)
{
    (void)state;
    char *dir = strdup(temp_dir()), first[1200], second[1200], other[1200];
    snprintf(first, sizeof first, "%s/m-00001-of-00002.gguf", dir);
    snprintf(second, sizeof second, "%s/m-00002-of-00002.gguf", dir);
    snprintf(other, sizeof other, "%s/other.gguf", dir);
    write_split(dir, 1, 0, 2, 2, "a");
    gt_gguf *g = NULL;
    assert_fails(gt_gguf_open(&g, first), GT_ERR_IO, "m-00002-of-00002.gguf");
    write_split(dir, 2, 1, 2, 2, "b");
    const char *const paths[] = {first, second}; /* any of them opens the whole */
    for (int i = 0; i < 2; i++) {
        assert_ok(gt_gguf_open(&g, paths[i]));
        assert_int_equal(gt_gguf_count(g), 2);
        assert_int_equal(*(const uint32_t *)gt_gguf_find(g, "b")->data, 1);
        gt_gguf_close(g);
    }
    g = NULL;
    assert_int_equal(rename(first, other), 0);
    assert_fails(gt_gguf_open(&g, other), GT_ERR_DATA, "NAME-00001-of-00002.gguf");
    write_split(dir, 1, 1, 2, 2, "a");
    assert_fails(gt_gguf_open(&g, first), GT_ERR_DATA, "split.no");
    write_split(dir, 1, 0, 3, 2, "a");
    assert_fails(gt_gguf_open(&g, first), GT_ERR_DATA, "of-00003");
    write_split(dir, 1, 0, 2, 5, "a");
    assert_fails(gt_gguf_open(&g, first), GT_ERR_DATA, "split.tensors.count");
    write_split(dir, 1, 0, 2, 2, "b");
    assert_fails(gt_gguf_open(&g, first), GT_ERR_DATA, "twice");
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_type_are_read), cmocka_unit_test(wrong_headers_are_refused),
        cmocka_unit_test(wrong_metadata_is_refused),     cmocka_unit_test(wrong_tensors_are_refused),
        cmocka_unit_test(every_truncation_is_refused),   cmocka_unit_test(split_files_are_one_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
