#include "weight_order_avx512.h"

#include <immintrin.h>

/* 16 rows of 16 pairs become 16 rows of pairs from 16 rows: a transposition of 32-bit words in four steps. */
static inline void transpose(__m512i r[16])
{
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int h = 0; h < 2; h++) {
            r[i + 2 * h] = _mm512_unpacklo_epi64(t[i + h], t[i + h + 2]);
            r[i + 2 * h + 1] = _mm512_unpackhi_epi64(t[i + h], t[i + h + 2]);
        }
    /* r[4 g + c]: in each 128-bit lane l, pair 4 l + c of rows 4 g ... 4 g + 3 */
    for (int c = 0; c < 4; c++) {
        t[c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x88);
        t[4 + c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xdd);
        t[8 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x88);
        t[12 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xdd);
    }
    for (int c = 0; c < 4; c++) {
        r[c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0x88);
        r[8 + c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0xdd);
        r[4 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0x88);
        r[12 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0xdd);
    }
}

void gt_pack_forward_avx512(uint16_t *out, const uint16_t *in, int cols)
{
    for (int c = 0; c < cols; c += GT_BLOCK_ROWS, out += GT_BLOCK) {
        __m512i r[16];
        for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(in + (size_t)i * (size_t)cols + (size_t)c);
        transpose(r);
        for (int i = 0; i < 16; i++) _mm512_storeu_si512(out + (size_t)i * 2 * GT_BLOCK_COLS, r[i]);
    }
}

void gt_pack_backward_avx512(uint16_t *out, const uint16_t *in, int cols, size_t stride)
{
    const __m512i step = _mm512_set1_epi32(0x00010001);
    __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5,
                                   36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    __m512i high = _mm512_add_epi16(low, _mm512_slli_epi16(step, 4));
    for (int c = 0; c < cols; c += GT_BLOCK_COLS, out += stride)
        for (int i = 0; i < GT_STRIP; i += 2) {
            const uint16_t *a = in + (size_t)i * (size_t)cols + (size_t)c, *b = a + cols;
            uint16_t *to = out + (size_t)i * GT_BLOCK_COLS;
            for (int half = 0; half < 2; half++, a += 32, b += 32, to += 64) {
                const __m512i x = _mm512_loadu_si512(a), y = _mm512_loadu_si512(b);
                _mm512_storeu_si512(to, _mm512_permutex2var_epi16(x, low, y));
                _mm512_storeu_si512(to + 32, _mm512_permutex2var_epi16(x, high, y));
            }
        }
}
