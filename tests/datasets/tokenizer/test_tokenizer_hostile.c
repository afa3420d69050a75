/* Files that were made to harm: a tokenizer.json or a packed block that is wrong is refused by name, and one that is
 * let through can be used without reading outside it or running for ever. */
#include "detok.h"
#include "hash.h"
#include "rng.h"
#include "tokenizer_blob.h"
#include "tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The small tokenizer.json with one text replaced by another. */
static char *edited(const char *from, const char *to)
{
    char *json = small_tokenizer_json("");
    char *at = strstr(json, from);
    if (!at) fail_msg("the small tokenizer.json has no '%s'", from);
    gt_text out = {0};
    gt_text_add(&out, json, (size_t)(at - json));
    gt_text_add(&out, to, strlen(to));
    gt_text_add(&out, at + strlen(from), strlen(at + strlen(from)));
    free(json);
    return out.data;
}

static void a_tokenizer_json_that_would_behave_otherwise_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } edit[] = {
        {"\"BPE\"", "\"Unigram\"", "not BPE"},
        {"\"dropout\":null", "\"dropout\":0.1", "dropout"},
        {"\"ignore_merges\":false", "\"ignore_merges\":true", "ignore_merges"},
        {"\"byte_fallback\":true", "\"byte_fallback\":false", "byte_fallback"},
        {"\"fuse_unk\":true", "\"continuing_subword_prefix\":\"##\"", "continuing_subword_prefix"},
        {"\"fuse_unk\":true", "\"end_of_word_suffix\":\"</w>\"", "end_of_word_suffix"},
        {"\"type\":\"Replace\"", "\"type\":\"NFKC\"", "normalizer"},
        {"\"pre_tokenizer\":null", "\"pre_tokenizer\":{\"type\":\"Whitespace\"}", "pre_tokenizer"},
        {"{\"type\":\"Fuse\"}", "{\"type\":\"Strip\"}", "decoder"},
        {"\"TemplateProcessing\"", "\"ByteLevel\"", "post_processor"},
        {"{\"Sequence\":", "{\"Sequences\":", "post_processor"},
        {"\"id\":\"<bos>\",\"type_id\"", "\"id\":\"<BOS>\",\"type_id\"", "post_processor"},
        {"\"lstrip\":false", "\"lstrip\":true", "lstrip"},
        {"\"single_word\":false", "\"single_word\":1", "single_word"},
        {"\"normalized\":false", "\"normalized\":true", "normalized = true"},
        {"{\"id\":0,", "{\"id\":1,", "has id 1, expected 0"},
        {"{\"id\":0,", "{\"id\":0.5,", "lacks its id"},
        {"\"content\":\"<pad>\"", "\"content\":\"<bos>\"", "expected"},
        {"\"content\":\"<pad>\"", "\"content\":\"\"", "has 0 bytes"},
        {"\"vocab\":{", "\"vocab\":{\"zz\":9999,", "is not one of"},
        {"\"vocab\":{", "\"vocab\":{\"zz\":-1,", "is not one of"},
        {"\"vocab\":{", "\"vocab\":{\"zz\":3,", "same id"},
        {"\"vocab\":{", "\"vocab\":{\"<pad>\":3,", ""},
        {"\"vocab\":{", "\"vocabulary\":{", "vocab"},
        {"\"<0x41>\":", "\"<0x41\":", "<0x41>"},
        {"\"merges\":[", "\"merges\":[[\"a\",\"e\"],", "result is no piece"},
        {"\"merges\":[", "\"merges\":[\"a e\",", "result is no piece"},
        {"\"merges\":[", "\"merges\":[[\"zz\",\"e\"],", "left part is no piece"},
        {"\"merges\":[", "\"merges\":[[\"a\",\"b\"],", "repeats merge"},
        {"\"merges\":[", "\"merges\":[[\"a\"],", "not two pieces"},
        {"\"merges\":[", "\"merges\":[\"a b c\",", "not two pieces"},
        {"\"merges\":[", "\"merges\":[7,", "not two pieces"},
        {"\"merges\":[", "\"merges\":[], \"x\":[", NULL}, /* no merges at all is a tokenizer of characters */
        {"\"merges\":[", "\"merge\":[", "merges"},
        {"\"content\":\"<pad>\"", "\"content\":\"<0x41>\"", "expected"},
        {"\"\xE2\x96\x81\":", "\"\xE2\x96\x82\":", "no piece"},
    };
    for (size_t i = 0; i < sizeof edit / sizeof *edit; i++) {
        char *json = edited(edit[i].from, edit[i].to);
        gt_tokenizer *t = NULL;
        if (edit[i].words)
            assert_fails(gt_tokenizer_from_json(&t, json, strlen(json), "edited"), GT_ERR_DATA, edit[i].words);
        else
            assert_ok(gt_tokenizer_from_json(&t, json, strlen(json), "edited"));
        gt_tokenizer_free(t);
        free(json);
    }
    gt_tokenizer *t;
    assert_fails(gt_tokenizer_from_json(&t, "", 0, "nothing"), GT_ERR_DATA, "nothing");
    assert_fails(gt_tokenizer_from_json(&t, "[]", 2, "list"), GT_ERR_DATA, "no tokenizer.json");
}

static void a_merge_may_not_make_a_control_token(void **state)
{
    (void)state;
    /* "ab" becomes special: its merge would let plain text make it. */
    char *json = edited("\"content\":\"<mask>\"", "\"content\":\"<maskX>\"");
    gt_tokenizer *t;
    assert_fails(gt_tokenizer_from_json(&t, json, strlen(json), "edited"), GT_ERR_DATA, "expected");
    free(json);
    json = small_tokenizer_json(",{\"id\":269,\"content\":\"ab\",\"special\":true}");
    assert_fails(gt_tokenizer_from_json(&t, json, strlen(json), "edited"), GT_ERR_DATA, "makes the control token");
    free(json);
}

static void a_truncated_tokenizer_json_is_refused(void **state)
{
    (void)state;
    char *json = small_tokenizer_json("");
    const size_t size = strlen(json);
    for (size_t n = 0; n < size; n += 1 + n / 40) {
        gt_tokenizer *t;
        char *copy = malloc(n + 1); /* exact, so that reading past it is seen */
        memcpy(copy, json, n);
        assert_int_equal(GT_ERR_DATA, gt_tokenizer_from_json(&t, copy, n, "cut"));
        free(copy);
    }
    free(json);
}

/* Uses all of a tokenizer that was let through. */
static void use(const gt_tokenizer *t)
{
    static const char text[] = "ab  abc d\n\n<bos><b><unused7> a\xE2\x96\x81"
                               "e가나 \xF0\x9F\x8E\x89<start_of_turn>cdcd";
    for (unsigned flags = 0; flags < 8; flags++) {
        gt_ids ids = {.keep_begin = true};
        if (gt_tokenizer_encode(t, text, strlen(text), flags, &ids) == GT_OK) {
            char *back;
            size_t size;
            assert_ok(gt_tokenizer_decode(t, ids.id, ids.count, flags & 1, &back, &size));
            free(back);
        }
        gt_ids_free(&ids);
    }
    for (int32_t id = -1; id <= gt_tokenizer_size(t); id++) gt_tokenizer_byte_of(t, id);
    gt_tokenizer_find_added(t, "<bos>", 5);
    uint8_t digest[32];
    gt_tokenizer_sha256(t, digest);
}

/* Puts the right digest on a changed block: the checks behind it are to be met. */
static void sign(char *blob, size_t size)
{
    const size_t skip = offsetof(gt_tokenizer_head, pieces);
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, blob + skip, size - skip);
    gt_sha256_end(&s, ((gt_tokenizer_head *)(void *)blob)->sha256);
}

static void a_damaged_packed_block_is_refused(void **state)
{
    (void)state;
    gt_tokenizer *small = small_tokenizer(), *t;
    void *whole;
    size_t size;
    assert_ok(gt_tokenizer_pack(small, &whole, &size));
    for (size_t n = 0; n < size; n += 1 + n / 20) { /* cut short */
        char *cut = malloc(n + 1);
        memcpy(cut, whole, n);
        assert_int_equal(GT_ERR_DATA, gt_tokenizer_from_packed(&t, cut, n, "cut"));
        free(cut);
    }
    char *copy = malloc(size + 8);
    memcpy(copy, whole, size);
    for (size_t i = 0; i < size; i += 7) { /* a flipped bit anywhere */
        copy[i] ^= 16;
        if (gt_tokenizer_from_packed(&t, copy, size, "flipped") == GT_OK) fail_msg("byte %zu changed unnoticed", i);
        copy[i] ^= 16;
    }
    assert_fails(gt_tokenizer_from_packed(&t, copy, size + 8, "long"), GT_ERR_DATA, "bytes");
    memmove(copy + 4, copy, size);
    assert_fails(gt_tokenizer_from_packed(&t, copy + 4, size, "odd"), GT_ERR_ARG, "aligned");
    memmove(copy, copy + 4, size);
    ((gt_tokenizer_head *)(void *)copy)->version++;
    assert_fails(gt_tokenizer_from_packed(&t, copy, size, "newer"), GT_ERR_DATA, "version 2, expected 1");
    free(copy);
    free(whole);
    gt_tokenizer_free(small);
}

static void a_forged_packed_block_is_refused_or_harmless(void **state)
{
    (void)state;
    gt_tokenizer *small = small_tokenizer(), *t;
    void *whole;
    size_t size, refused = 0, taken = 0;
    assert_ok(gt_tokenizer_pack(small, &whole, &size));
    char *copy = malloc(size);
    for (uint64_t seed = 0; seed < 4000; seed++) {
        memcpy(copy, whole, size);
        const uint64_t changes = 1 + gt_rng_below(seed, 0, 3);
        for (uint64_t c = 0; c < changes; c++) {
            const bool head = gt_rng_below(seed, 4 * c + 1, 3) == 0; /* the header is small and decides most */
            const uint64_t range = head ? offsetof(gt_tokenizer_head, byte_id) : size;
            const uint64_t at = gt_rng_below(seed, 4 * c + 2, range);
            copy[at] = (char)gt_rng_below(seed, 4 * c + 3, 256);
        }
        sign(copy, size);
        if (gt_tokenizer_from_packed(&t, copy, size, "forged") != GT_OK) {
            refused++;
            continue;
        }
        taken++;
        use(t);
        gt_tokenizer_free(t);
    }
    assert_true(refused > 500 && taken > 100); /* both ways were walked */
    free(copy);
    free(whole);
    gt_tokenizer_free(small);
}

static void a_wrong_gguf_vocabulary_is_refused(void **state)
{
    (void)state;
    enum { N = 261 };
    static char names[256][8];
    const char *piece[N];
    size_t length[N];
    float score[N] = {0};
    int32_t type[N];
    for (int i = 0; i < N; i++) {
        if (i < 256) snprintf(names[i], sizeof names[i], "<0x%02X>", i);
        piece[i] = i < 256    ? names[i]
                   : i == 256 ? "<bos>"
                   : i == 257 ? "a"
                   : i == 258 ? "b"
                   : i == 259 ? "ab"
                              : "\xE2\x96\x81";
        length[i] = strlen(piece[i]);
        type[i] = i < 256 ? 6 : i == 256 ? 3 : 1;
    }
    const gt_vocab v = {piece, length, score, type, N};
    gt_tokenizer *t;
    assert_ok(gt_tokenizer_from_vocab(&t, &v, "small.gguf"));
    gt_ids ids = {0};
    assert_ok(gt_tokenizer_encode(t, "abb", 3, GT_ENCODE_DEFAULT, &ids));
    assert_int_equal(3, ids.count);
    assert_true(ids.id[0] == 256 && ids.id[1] == 259 && ids.id[2] == 258);
    gt_ids_free(&ids);
    gt_tokenizer_free(t);
#define WRONG(change, undo, words)                                                                                     \
    do {                                                                                                               \
        change;                                                                                                        \
        assert_fails(gt_tokenizer_from_vocab(&t, &v, "wrong.gguf"), GT_ERR_DATA, words);                               \
        undo;                                                                                                          \
    } while (0)
    WRONG(type[3] = 0, type[3] = 6, "token type 0");
    WRONG(type[3] = 7, type[3] = 6, "token type 7");
    WRONG(type[3] = 1, type[3] = 6, "<0x03> is missing");
    WRONG(type[257] = 6, type[257] = 1, "byte piece 257");
    WRONG(score[259] = (float)(0.0 / 0.0), score[259] = 0, "not finite");
    WRONG(piece[258] = "a", piece[258] = "b", "same text");
    WRONG(piece[258] = "\xFF", piece[258] = "b", "not UTF-8");
    WRONG(length[258] = 0, length[258] = 1, "no text");
    const gt_vocab none = {piece, length, score, type, 0};
    assert_fails(gt_tokenizer_from_vocab(&t, &none, "none.gguf"), GT_ERR_DATA, "0 pieces");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tokenizer_json_that_would_behave_otherwise_is_refused),
        cmocka_unit_test(a_merge_may_not_make_a_control_token),
        cmocka_unit_test(a_truncated_tokenizer_json_is_refused),
        cmocka_unit_test(a_damaged_packed_block_is_refused),
        cmocka_unit_test(a_forged_packed_block_is_refused_or_harmless),
        cmocka_unit_test(a_wrong_gguf_vocabulary_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
