/* fuzz_tokenizer_packed.c - a packed tokenizer forged by somebody who knows the digest: the input is a list of changes
 * to a good block (four bytes each: three of place, counted in the header or in the whole block, and the byte to put
 * there), which is then signed. It is refused, or every use of it stays inside it and ends. */
#include "fuzz.h"

#include "detok.h"
#include "hash.h"
#include "tokenizer_blob.h"
#include "utf8.h"

#include <string.h>

enum { LETTERS = 8, PIECES = 256 + 3 + LETTERS };

/* A good block of 256 bytes, control tokens, letters and merges; made once. */
static char *good_block(size_t *size)
{
    static char *block;
    static size_t block_size;
    if (!block) {
        static char names[256][8];
        static const char *const others[3 + LETTERS] = {
            "<bos>",        "<b>", "<unused1>", "a", "b", "ab", "\xE2\x96\x81", "\xE2\x96\x81\x61",
            "\xEA\xB0\x80", "aba", "abab"};
        const char *piece[PIECES];
        size_t length[PIECES];
        float score[PIECES];
        int32_t type[PIECES];
        for (int i = 0; i < PIECES; i++) {
            if (i < 256) snprintf(names[i], sizeof names[i], "<0x%02X>", i);
            piece[i] = i < 256 ? names[i] : others[i - 256];
            length[i] = strlen(piece[i]);
            score[i] = (float)-i;
            type[i] = i < 256 ? 6 : i == 257 ? 4 : i < 259 ? 3 : 1;
        }
        const gt_vocab v = {piece, length, score, type, PIECES};
        gt_tokenizer *t;
        void *packed;
        FUZZ_CHECK(gt_tokenizer_from_vocab(&t, &v, "seed") == GT_OK);
        FUZZ_CHECK(gt_tokenizer_pack(t, &packed, &block_size) == GT_OK);
        gt_tokenizer_free(t);
        block = packed;
    }
    *size = block_size;
    return block;
}

static void sign(char *block, size_t size)
{
    const size_t skip = offsetof(gt_tokenizer_head, pieces);
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, block + skip, size - skip);
    gt_sha256_end(&s, ((gt_tokenizer_head *)(void *)block)->sha256);
}

static void use(const gt_tokenizer *t)
{
    static const char text[] = "ab  abab\n<bos> <b><unused1>\xEA\xB0\x80\xE2\x96\x81"
                               "aba\xF0\x9F\x8E\x89";
    for (unsigned flags = 0; flags < 8; flags++) {
        gt_ids ids = {.keep_begin = true};
        char *back;
        size_t size;
        if (gt_tokenizer_encode(t, text, sizeof text - 1, flags, &ids) == GT_OK) {
            FUZZ_CHECK(gt_tokenizer_decode(t, ids.id, ids.count, flags & 1, &back, &size) == GT_OK);
            FUZZ_CHECK(gt_utf8_valid(back, size, NULL));
            free(back);
        }
        gt_ids_free(&ids);
    }
    for (int32_t id = -1; id <= gt_tokenizer_size(t); id++) {
        size_t size;
        const char *piece = gt_tokenizer_piece(t, id, &size);
        if (piece) gt_tokenizer_find_added(t, piece, size);
        gt_tokenizer_byte_of(t, id);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t bytes;
    const char *good = good_block(&bytes);
    char *block = malloc(bytes);
    memcpy(block, good, bytes);
    for (; size >= 4; data += 4, size -= 4) {
        const size_t range = data[0] & 1 ? sizeof(gt_tokenizer_head) : bytes;
        const size_t place = ((size_t)data[0] / 2 << 16 | (size_t)data[1] << 8 | data[2]) % range;
        block[place] = (char)data[3];
    }
    sign(block, bytes);
    gt_tokenizer *t;
    if (gt_tokenizer_from_packed(&t, block, bytes, "input") == GT_OK) {
        use(t);
        gt_tokenizer_free(t);
    }
    free(block);
    return 0;
}
