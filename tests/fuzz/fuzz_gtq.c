/* fuzz_gtq.c - any bytes as a packed base: refused, or opened to matrices that lie inside the file. Header fields that
 * follow from the rest (sizes, the directory's digest) are made right first, or no input would come past them. */
#include "fuzz.h"

#include "gtq.h"
#include "hash.h"
#include "weights.h"
#include "weights_sources.h"

#include <string.h>

static void put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}

/* The input is the directory alone; sections are zeros. Its first two bytes say how much space they have. */
static void with_directory(const uint8_t *data, size_t size)
{
    const size_t space = 4096 + 64 * ((size_t)data[0] | (size_t)data[1] << 8), bytes = space + size - 2;
    uint8_t *file = calloc(bytes, 1);
    if (!file) abort();
    memcpy(file, "\x89GTQ\r\n\x1a\n", 8);
    put_u64(file + 8, 1 | 128ull << 32);
    put_u64(file + 16, bytes);
    put_u64(file + 24, space);
    put_u64(file + 32, size - 2);
    memcpy(file + space, data + 2, size - 2);
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, file + space, size - 2);
    gt_sha256_end(&s, file + 40);
    const char *path = fuzz_file(file, bytes, ".gtq");
    free(file);
    gt_weights *w = NULL;
    if (gt_weights_open_gtq(&w, path) == GT_OK) {
        char hex[65];
        FUZZ_CHECK(gt_weights_identity(w, hex) == GT_OK);
        gt_weights_close(w);
    }
    (void)gt_gtq_verify(path, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 3) with_directory(data, size);
    gt_weights *w = NULL;
    if (gt_weights_open_gtq(&w, fuzz_file(data, size, ".gtq")) == GT_OK) gt_weights_close(w);
    return 0;
}
