/* fuzz_tokenizer.c - a tokenizer.json, a NUL byte, a text: the tokenizer is refused, or it encodes the text or refuses
 * it. What is encoded decodes to the text (with U+2581 as a space), without a control token unless they are parsed, and
 * a packed copy of the tokenizer gives the same ids. */
#include "fuzz.h"

#include "detok.h"
#include "tokenizer.h"
#include "utf8.h"

#include <string.h>

/* The text as decoding gives it back: U+2581 becomes a space. */
static char *with_spaces(const char *text, size_t size, size_t *out_size)
{
    char *out = malloc(size + 1);
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        if (size - i >= 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = text[i++];
        }
    }
    *out_size = n;
    return out;
}

static void check_text(const gt_tokenizer *t, const gt_tokenizer *packed, const char *text, size_t size, unsigned flags)
{
    gt_ids ids = {.keep_begin = true}, again = {0};
    const gt_status st = gt_tokenizer_encode(t, text, size, flags, &ids);
    FUZZ_CHECK(gt_tokenizer_encode(packed, text, size, flags, &again) == st);
    if (st == GT_OK) {
        FUZZ_CHECK(ids.count == again.count);
        if (ids.count) FUZZ_CHECK(memcmp(ids.id, again.id, ids.count * sizeof *ids.id) == 0);
        for (size_t i = 0; i < ids.count; i++) {
            FUZZ_CHECK(ids.begin[i] < size && (i == 0 ? ids.begin[0] == 0 : ids.begin[i] > ids.begin[i - 1]));
            FUZZ_CHECK((flags & GT_ENCODE_PARSE_SPECIAL) || !gt_tokenizer_is_control(t, ids.id[i]));
        }
        char *back, *want;
        size_t back_size, want_size;
        FUZZ_CHECK(gt_tokenizer_decode(t, ids.id, ids.count, false, &back, &back_size) == GT_OK);
        want = with_spaces(text, size, &want_size);
        FUZZ_CHECK(back_size == want_size && memcmp(back, want, want_size) == 0);
        free(back);
        free(want);
    } else {
        FUZZ_CHECK(ids.count == 0);
    }
    gt_ids_free(&ids);
    gt_ids_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const size_t json = end ? (size_t)(end - data) : size;
    const char *text = end ? (const char *)end + 1 : "";
    const size_t text_size = end ? size - json - 1 : 0;
    gt_tokenizer *t, *packed;
    void *blob;
    size_t blob_size;
    if (gt_tokenizer_from_json(&t, (const char *)data, json, "input") != GT_OK) return 0;
    FUZZ_CHECK(gt_tokenizer_pack(t, &blob, &blob_size) == GT_OK);
    FUZZ_CHECK(gt_tokenizer_from_packed(&packed, blob, blob_size, "packed") == GT_OK);
    check_text(t, packed, text, text_size, 0);
    check_text(t, packed, text, text_size, GT_ENCODE_PARSE_SPECIAL);
    gt_tokenizer_free(packed);
    gt_tokenizer_free(t);
    free(blob);
    return 0;
}
