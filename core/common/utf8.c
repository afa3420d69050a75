#include "utf8.h"

#include <string.h>

static bool continues(uint8_t b)
{
    return (b & 0xc0u) == 0x80u;
}

int gt_utf8_decode(const char *bytes, size_t size, uint32_t *scalar)
{
    const uint8_t *p = (const uint8_t *)bytes;
    uint32_t c;
    int n;
    if (size == 0) return 0;
    if (p[0] < 0x80) {
        c = p[0];
        n = 1;
    } else if (p[0] < 0xc2)
        return 0; /* a stray continuation, or overlong */
    else if (p[0] < 0xe0) {
        if (size < 2 || !continues(p[1])) return 0;
        c = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
        n = 2;
    } else if (p[0] < 0xf0) {
        if (size < 3 || !continues(p[1]) || !continues(p[2])) return 0;
        c = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
        if (c < 0x800 || (c >= 0xd800 && c < 0xe000)) return 0;
        n = 3;
    } else {
        if (p[0] > 0xf4 || size < 4 || !continues(p[1]) || !continues(p[2]) || !continues(p[3])) return 0;
        c = (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
        if (c < 0x10000 || c > 0x10ffff) return 0;
        n = 4;
    }
    if (scalar) *scalar = c;
    return n;
}

int gt_utf8_encode(char out[4], uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool gt_utf8_valid(const char *bytes, size_t size, size_t *bad)
{
    size_t i = 0;
    while (i < size) {
        uint64_t eight;
        if (size - i >= 8 && (memcpy(&eight, bytes + i, 8), (eight & 0x8080808080808080ull) == 0)) {
            i += 8;
            continue;
        }
        int n = gt_utf8_decode(bytes + i, size - i, NULL);
        if (n == 0) {
            if (bad) *bad = i;
            return false;
        }
        i += (size_t)n;
    }
    return true;
}
