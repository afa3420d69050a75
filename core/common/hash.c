#include "hash.h"

#include "fs.h"
#include "hash_blocks.h"

#include <string.h>

void gt_sha256_init(gt_sha256 *s)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memset(s, 0, sizeof *s);
    memcpy(s->h, start, sizeof start);
}

void gt_sha256_add(gt_sha256 *s, const void *data, size_t size)
{
    if (size == 0) return;
    const gt_sha256_fn blocks = gt_sha256_blocks();
    const uint8_t *p = data;
    s->bytes += size;
    if (s->fill > 0) {
        size_t room = sizeof s->block - s->fill, n = size < room ? size : room;
        memcpy(s->block + s->fill, p, n);
        s->fill += (unsigned)n;
        p += n;
        size -= n;
        if (s->fill < sizeof s->block) return;
        blocks(s->h, s->block, 1);
        s->fill = 0;
    }
    if (size >= 64) {
        blocks(s->h, p, size / 64);
        p += size / 64 * 64;
        size %= 64;
    }
    memcpy(s->block, p, size);
    s->fill = (unsigned)size;
}

void gt_sha256_add_u64(gt_sha256 *s, uint64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++) b[i] = (uint8_t)(v >> (8 * i));
    gt_sha256_add(s, b, sizeof b);
}

void gt_sha256_end(gt_sha256 *s, uint8_t digest[32])
{
    uint8_t tail[72] = {0x80};
    const uint64_t bits = s->bytes * 8;
    const size_t zeros = (s->fill < 56 ? 56 : 120) - s->fill;
    for (int i = 0; i < 8; i++) tail[zeros + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    gt_sha256_add(s, tail, zeros + 8);
    for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void gt_hex(char out[65], const uint8_t digest[32])
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[64] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gt_unhex(uint8_t digest[32], const char *hex)
{
    if (strlen(hex) != 64) return false;
    for (int i = 0; i < 32; i++) {
        const int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

gt_status gt_sha256_file(uint8_t digest[32], const char *path)
{
    gt_map m;
    GT_TRY(gt_map_open(&m, path));
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, m.data, m.size);
    gt_sha256_end(&s, digest);
    gt_map_close(&m);
    return GT_OK;
}
