/* What the tokenizer promises beside parity: control tokens only where they are allowed, places, flags, decoding. */
#include "detok.h"
#include "rng.h"
#include "tokenizer_blob.h"
#include "tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gt_ids encode(const gt_tokenizer *t, const char *text, unsigned flags)
{
    gt_ids ids = {0};
    assert_ok(gt_tokenizer_encode(t, text, strlen(text), flags, &ids));
    return ids;
}

static void check_ids(const gt_tokenizer *t, const char *text, unsigned flags, size_t n, const int32_t *want)
{
    gt_ids ids = encode(t, text, flags);
    bool equal = ids.count == n && memcmp(ids.id, want, n * sizeof *want) == 0;
    if (!equal) {
        for (size_t i = 0; i < ids.count; i++) print_message("%d ", ids.id[i]);
        fail_msg("'%s' gives other ids", text);
    }
    gt_ids_free(&ids);
}

#define CHECK(t, text, flags, ...)                                                                                     \
    do {                                                                                                               \
        const int32_t want_[] = {__VA_ARGS__};                                                                         \
        check_ids(t, text, flags, sizeof want_ / sizeof *want_, want_);                                                \
    } while (0)

/* The definition itself, without any cleverness: the whole segment is one word, every step looks at every pair. */
static size_t merge_plainly(const gt_tokenizer *t, const char *text, size_t size, int32_t *id)
{
    size_t n = 0;
    for (size_t i = 0, used; i < size; i += used) {
        uint32_t code = gt_utf8_next((const uint8_t *)text + i, size - i, &used);
        const int32_t one = gt_scalar_find(t, code == ' ' ? 0x2581 : code);
        if (one >= 0)
            id[n++] = one;
        else
            for (size_t k = 0; k < used; k++) id[n++] = t->head->byte_id[(uint8_t)text[i + k]];
    }
    for (;;) {
        uint32_t best = UINT32_MAX;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const uint32_t rank = gt_merge_find(t, (uint32_t)id[i], (uint32_t)id[i + 1]);
            if (rank < best) best = rank, at = i;
        }
        if (best == UINT32_MAX) return n;
        id[at] = (int32_t)t->merge[best].result;
        memmove(id + at + 1, id + at + 2, (n - at - 2) * sizeof *id);
        n--;
    }
}

/* A random text of words, spaces, scripts; no character that begins an added token. */
static size_t random_text(char *out, uint64_t seed, size_t units)
{
    static const char *const unit[] = {" ",  " ",  "  ",  "a",  "e",  "t",  "th",   "in", "ing",
                                       "1",  ">",  "/",   "환", "자", "의", "가",   "는", "다",
                                       "。", "的", "ü",   "é",  "я",  "!",  ".",    "-",  "    ",
                                       "Q",  "🎉",  "‍", "\r", "ك",  "ㄱ", "혈압", "고", "\xF3\xA0\x80\x81"};
    size_t n = 0;
    for (size_t i = 0; i < units; i++) {
        const char *u = unit[gt_rng_u64(seed, i) % (sizeof unit / sizeof *unit)];
        memcpy(out + n, u, strlen(u));
        n += strlen(u);
    }
    return n;
}

static void ids_are_those_of_the_plain_definition(void **state)
{
    (void)state;
    const gt_tokenizer *t = gemma_tokenizer();
    char text[2048];
    int32_t want[4096];
    for (uint64_t seed = 0; seed < 1500; seed++) {
        const size_t size = random_text(text, seed, 1 + seed % 90);
        const size_t n = merge_plainly(t, text, size, want);
        gt_ids ids = {0};
        assert_ok(gt_tokenizer_encode(t, text, size, 0, &ids));
        if (ids.count != n || memcmp(ids.id, want, n * sizeof *want) != 0)
            fail_msg("seed %llu: '%.*s'", (unsigned long long)seed, (int)size, text);
        gt_ids_free(&ids);
    }
}

static void text_comes_back_from_its_ids(void **state)
{
    (void)state;
    const gt_tokenizer *t = gemma_tokenizer();
    char text[2048], *back;
    size_t back_size;
    for (uint64_t seed = 5000; seed < 5300; seed++) {
        const size_t size = random_text(text, seed, 1 + seed % 90);
        gt_ids ids = {.keep_begin = true};
        assert_ok(gt_tokenizer_encode(t, text, size, 0, &ids));
        assert_ok(gt_tokenizer_decode(t, ids.id, ids.count, false, &back, &back_size));
        assert_int_equal(size, back_size);
        assert_memory_equal(text, back, size);
        free(back);
        for (size_t i = 0; i < ids.count; i++) { /* each token is the text at its place */
            size_t piece_size;
            const size_t end = i + 1 < ids.count ? ids.begin[i + 1] : size;
            gt_tokenizer_piece(t, ids.id[i], &piece_size);
            assert_true(ids.begin[i] < end && ids.begin[0] == 0);
            if (gt_tokenizer_byte_of(t, ids.id[i]) >= 0) {
                assert_int_equal(end - ids.begin[i], 1);
                assert_int_equal((uint8_t)text[ids.begin[i]], gt_tokenizer_byte_of(t, ids.id[i]));
                continue;
            }
            assert_ok(gt_tokenizer_decode(t, &ids.id[i], 1, false, &back, &back_size));
            assert_int_equal(end - ids.begin[i], back_size);
            assert_memory_equal(text + ids.begin[i], back, back_size);
            free(back);
        }
        gt_ids_free(&ids);
    }
}

/* Nothing that a text says becomes a control token unless it is asked for; everything else is found as before. */
static void control_tokens_are_found_only_when_asked_for(void **state)
{
    (void)state;
    const gt_tokenizer *t = gemma_tokenizer();
    size_t control = 0, plain = 0;
    for (int32_t id = 0; id < gt_tokenizer_size(t); id++) {
        size_t size, back_size;
        const char *piece = gt_tokenizer_piece(t, id, &size);
        if (gt_tokenizer_find_added(t, piece, size) != id) continue;
        char text[128], *back;
        const size_t n = (size_t)snprintf(text, sizeof text, "x%.*sy", (int)size, piece);
        gt_ids parsed = {0}, ordinary = {0};
        assert_ok(gt_tokenizer_encode(t, text, n, GT_ENCODE_PARSE_SPECIAL, &parsed));
        assert_ok(gt_tokenizer_encode(t, text, n, 0, &ordinary));
        assert_int_equal(3, parsed.count);
        assert_int_equal(id, parsed.id[1]);
        if (gt_tokenizer_is_control(t, id)) {
            control++;
            for (size_t i = 0; i < ordinary.count; i++) assert_false(gt_tokenizer_is_control(t, ordinary.id[i]));
            assert_ok(gt_tokenizer_decode(t, ordinary.id, ordinary.count, true, &back, &back_size));
            assert_string_equal(text, back);
            free(back);
        } else {
            plain++;
            assert_int_equal(3, ordinary.count);
            assert_int_equal(id, ordinary.id[1]);
        }
        gt_ids_free(&parsed);
        gt_ids_free(&ordinary);
    }
    assert_int_equal(9 + 2 + 6242, control); /* special; <mask>, [multimodal]; <unused0> … <unused6241> */
    assert_int_equal(6415 - control, plain);
}

static void trusted_spans_let_control_tokens_in(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    static const char text[] = "<bos><bos>a<bos>";
    const gt_text_span spans[] = {{0, 5}, {11, 16}};
    gt_ids ids = {0};
    assert_ok(gt_tokenizer_encode_spans(t, text, strlen(text), 0, spans, 2, &ids));
    int bos = 0;
    for (size_t i = 0; i < ids.count; i++) bos += ids.id[i] == 2;
    assert_int_equal(2, bos);
    assert_int_equal(2, ids.id[0]);
    assert_int_equal(2, ids.id[ids.count - 1]);
    assert_true(ids.id[1] != 2);
    ids.count = 0;
    const gt_text_span part[] = {{0, 4}, {4, 9}}; /* half of one and half of the next: neither is inside a span */
    assert_ok(gt_tokenizer_encode_spans(t, text, strlen(text), 0, part, 2, &ids));
    for (size_t i = 0; i < ids.count; i++) assert_true(ids.id[i] != 2);
    const gt_text_span wrong[] = {{3, 6}, {2, 9}}, outside[] = {{0, 17}};
    assert_fails(gt_tokenizer_encode_spans(t, text, strlen(text), 0, wrong, 2, &ids), GT_ERR_ARG, "not in order");
    assert_fails(gt_tokenizer_encode_spans(t, text, strlen(text), 0, outside, 1, &ids), GT_ERR_ARG, "not in order");
    gt_ids_free(&ids);
    gt_tokenizer_free(t);
}

static void flags_put_tokens_around_a_text(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    const int32_t e = gt_tokenizer_size(t) - 6; /* single letters a b c d e … are the last ten pieces */
    CHECK(t, "e", 0, e);
    CHECK(t, "e", GT_ENCODE_ADD_BOS, 2, e);
    CHECK(t, "e", GT_ENCODE_DEFAULT, 2, e);
    CHECK(t, "e", GT_ENCODE_ADD_BOS | GT_ENCODE_ADD_EOS, 2, e, 1);
    CHECK(t, "e", GT_ENCODE_END_TEXT, e, 1);
    CHECK(t, "e<eos>", GT_ENCODE_END_TEXT | GT_ENCODE_PARSE_SPECIAL, e, 1);
    CHECK(t, "<bos>e", GT_ENCODE_ADD_BOS | GT_ENCODE_PARSE_SPECIAL, 2, 2, e);
    gt_ids ids = encode(t, "<bos>e", GT_ENCODE_ADD_BOS | GT_ENCODE_PARSE_SPECIAL | GT_ENCODE_ONE_BOS);
    assert_int_equal(2, ids.count);
    assert_true(ids.bos_stripped);
    gt_ids_free(&ids);
    ids = encode(t, "e", GT_ENCODE_ADD_BOS | GT_ENCODE_PARSE_SPECIAL | GT_ENCODE_ONE_BOS);
    assert_int_equal(2, ids.count);
    assert_false(ids.bos_stripped);
    gt_ids_free(&ids);
    ids = encode(t, "e<eos>", GT_ENCODE_END_TEXT); /* spelled in text it is text, so the real one follows */
    assert_int_equal(1, ids.id[ids.count - 1]);
    assert_true(ids.count > 3 && ids.id[ids.count - 2] != 1);
    gt_ids_free(&ids);

    gt_tokenizer_specials s = *gt_tokenizer_get_specials(t);
    s.bos = -1;
    assert_fails(gt_tokenizer_set_specials(t, &s), GT_ERR_DATA, "bos");
    s.add_bos = false;
    assert_ok(gt_tokenizer_set_specials(t, &s));
    ids = (gt_ids){0};
    assert_fails(gt_tokenizer_encode(t, "e", 1, GT_ENCODE_ADD_BOS, &ids), GT_ERR_DATA, "no bos token");
    s.eos = gt_tokenizer_size(t);
    assert_fails(gt_tokenizer_set_specials(t, &s), GT_ERR_DATA, "outside");
    gt_tokenizer_free(t);
}

static void wrong_texts_are_refused_and_leave_the_ids_alone(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    static const char *const bad[] = {"a\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "ab\xE2\x96", "\x80"};
    gt_ids ids = {0};
    assert_ok(gt_ids_push(&ids, 7, 0));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(gt_tokenizer_encode(t, bad[i], strlen(bad[i]), GT_ENCODE_ADD_BOS, &ids), GT_ERR_DATA, "UTF-8");
    assert_int_equal(1, ids.count);
    assert_ok(gt_tokenizer_encode(t, "a\0b", 3, 0, &ids)); /* NUL is a character like others */
    assert_int_equal(4, ids.count);
    assert_int_equal(0, gt_tokenizer_byte_of(t, ids.id[2]));
    gt_ids_free(&ids);
    gt_tokenizer_free(t);
}

static void check_decode(const gt_tokenizer *t, bool skip, const char *want, size_t n, const int32_t *ids)
{
    char *text;
    size_t size;
    assert_ok(gt_tokenizer_decode(t, ids, n, skip, &text, &size));
    assert_string_equal(want, text);
    assert_int_equal(strlen(want), size);
    free(text);
}

static void ids_decode_as_the_reference_decodes(void **state)
{
    (void)state;
    const gt_tokenizer *t = gemma_tokenizer();
#define DECODE(skip, want, ...)                                                                                        \
    do {                                                                                                               \
        const int32_t ids_[] = {__VA_ARGS__};                                                                          \
        check_decode(t, skip, want, sizeof ids_ / sizeof *ids_, ids_);                                                 \
    } while (0)
    DECODE(false, "é", 433, 407);
    DECODE(false, "\uFFFD", 433);
    DECODE(false, "\uFFFD\uFFFDa", 466, 427, 236746);
    DECODE(false, "\uFFFD\uFFFD\uFFFD\uFFFD", 466, 427, 398, 466);
    DECODE(false, "  Hello", 138, 9259);
    DECODE(false, " world", 1902);
    DECODE(true, "user\n\n", 105, 2364, 107, 106, 107);
    DECODE(true, "é", 433, 1, 407);
    DECODE(false, "\uFFFD<eos>\uFFFD", 433, 1, 407);
    DECODE(true, "<mask>[multimodal]<unused0>", 4, 5, 6); /* placeholders are control, not special */
    DECODE(false, "<image_soft_token>", 262144);
    char *text;
    size_t size;
    assert_fails(gt_tokenizer_decode(t, (int32_t[]){5, 262145}, 2, false, &text, &size), GT_ERR_DATA, "262145");
    assert_fails(gt_tokenizer_decode(t, (int32_t[]){-1}, 1, false, &text, &size), GT_ERR_DATA, "-1");
    assert_ok(gt_tokenizer_decode(t, NULL, 0, false, &text, &size));
    assert_string_equal("", text);
    free(text);
}

static void tokenizer_config_names_the_special_tokens(void **state)
{
    (void)state;
    gt_tokenizer *t = small_tokenizer();
    const gt_tokenizer_specials *s = gt_tokenizer_get_specials(t);
    assert_true(s->bos == 2 && s->eos == 1 && s->pad == 0 && s->unk == 3 && s->add_bos && !s->add_eos);
#define APPLY(json) gt_tokenizer_apply_config(t, json, strlen(json), "tokenizer_config.json")
    assert_ok(APPLY("{\"eos_token\":\"<end_of_turn>\",\"pad_token\":{\"content\":\"<eos>\"},\"bos_token\":null,"
                    "\"add_eos_token\":true,\"other\":[1]}"));
    assert_true(s->bos == 2 && s->eos == 5 && s->pad == 1 && s->add_bos && s->add_eos);
    assert_ok(APPLY("{}"));
    assert_fails(APPLY("{\"eos_token\":\"</s>\"}"), GT_ERR_DATA, "no added token");
    assert_fails(APPLY("{\"eos_token\":1}"), GT_ERR_DATA, "eos_token");
    assert_fails(APPLY("{\"add_bos_token\":1}"), GT_ERR_DATA, "add_bos_token");
    assert_fails(APPLY("[]"), GT_ERR_DATA, "object");
    assert_fails(APPLY("{"), GT_ERR_DATA, "tokenizer_config.json");
    assert_int_equal(5, s->eos);
    gt_tokenizer_free(t);
}

static char *spaced(const char *content) /* an added token with normalized = true behind the others */
{
    char extra[256];
    gt_tokenizer *t = small_tokenizer();
    snprintf(extra, sizeof extra, ",{\"id\":%d,\"content\":\"%s\",\"normalized\":true,\"special\":false}",
             gt_tokenizer_size(t), content);
    gt_tokenizer_free(t);
    return small_tokenizer_json(extra);
}

static void appended_terms_are_found_in_the_normalised_text(void **state)
{
    (void)state;
    char *json = spaced("c d");
    gt_tokenizer *t;
    assert_ok(gt_tokenizer_from_json(&t, json, strlen(json), "terms"));
    const int32_t term = gt_tokenizer_size(t) - 1, a = term - 10, b = term - 9, c = term - 8;
    CHECK(t, "ec de", 0, term - 6, term, term - 6);
    CHECK(t,
          "c\xE2\x96\x81"
          "d",
          0, term); /* U+2581 and a space are the same to the second pass */
    CHECK(t, "b\nc dc db<b>", 0, b, 10, term, term, b, 12);
    assert_int_equal(term, gt_tokenizer_find_added(t, "c d", 3));
    char *text;
    size_t size;
    const int32_t ids[] = {a, term, c};
    assert_ok(gt_tokenizer_decode(t, ids, 3, true, &text, &size));
    assert_string_equal("ac dc", text);
    free(text);
    gt_tokenizer_free(t);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_the_plain_definition),
        cmocka_unit_test(text_comes_back_from_its_ids),
        cmocka_unit_test(control_tokens_are_found_only_when_asked_for),
        cmocka_unit_test(trusted_spans_let_control_tokens_in),
        cmocka_unit_test(flags_put_tokens_around_a_text),
        cmocka_unit_test(wrong_texts_are_refused_and_leave_the_ids_alone),
        cmocka_unit_test(ids_decode_as_the_reference_decodes),
        cmocka_unit_test(tokenizer_config_names_the_special_tokens),
        cmocka_unit_test(appended_terms_are_found_in_the_normalised_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
