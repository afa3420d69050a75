/* fourbit_rows.h - NF4 and FP4 codes to act; included by decode_rows.h. A block has one scale, so its 16 possible
 * values are made once, rounded, and every code is a lookup: a permute of 32 words (AVX-512), four byte shuffles
 * (AVX2), or an array. Floor: half a byte read and an act written an element. */
#ifndef GT_FOURBIT_ROWS_H
#define GT_FOURBIT_ROWS_H

#include "lanes.h"
#include "matrix.h"

#include <stdbool.h>

/* The 16 values of a block in both forms; `word` as bf16, twice over so that an index's fifth bit is of no matter. */
typedef struct {
    _Alignas(64) float value[16];
    _Alignas(64) uint16_t word[32];
} block_values;

/* Which scale a block has, walking forward without a division a block. */
typedef struct {
    const gt_matrix *m;
    size_t block, outer, within; /* block = outer * block2 + within */
} scale_walk;

LANES_INLINE float next_scale(scale_walk *w)
{
    const gt_matrix *m = w->m;
    size_t b = w->block++;
    if (m->absmax) return m->absmax[b];
    float scale = m->code2[m->absmax8[b]] * m->absmax2[w->outer];
    scale = scale + m->offset;
    if (++w->within == (size_t)m->block2) {
        w->within = 0;
        w->outer++;
    }
    return scale;
}

LANES_INLINE void make_values(gt_dtype act, block_values *t, const gt_matrix *m, float scale)
{
    for (int i = 0; i < 16; i += LANES) {
        vfloat v = v_load_f32(m->code + i) * scale;
        if (m->round_to == GT_F16) {
            float lane[LANES];
            v_store_f32(lane, v);
            for (int l = 0; l < LANES; l++) lane[l] = gt_f16_to_f32(gt_f32_to_f16(lane[l]));
            v = v_load_f32(lane);
        } else if (m->round_to == GT_BF16 && act == GT_F32)
            v = v_round_bf16(v);
        if (act == GT_F32)
            v_store_f32(t->value + i, v);
        else {
            v_store_bf16_exact(t->word + i, v);
            v_store_bf16_exact(t->word + 16 + i, v);
        }
    }
}

/* n codes from the even element at `codes` on to bf16. */
LANES_INLINE void look_up_words(uint16_t *out, const uint8_t *codes, size_t n, const block_values *t)
{
    size_t i = 0;
#if defined(__AVX512BW__)
    __m512i table = _mm512_load_si512(t->word);
    for (; i + 32 <= n; i += 32) { /* a dword a byte: the even element's index in its low word, the odd one's above */
        __m512i x = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(codes + i / 2)));
        __m512i index = _mm512_or_si512(_mm512_srli_epi32(x, 4), _mm512_slli_epi32(x, 16));
        _mm512_storeu_si512(out + i, _mm512_permutexvar_epi16(index, table));
    }
#elif defined(__AVX2__)
    const __m128i low = _mm_set1_epi8(15), even = _mm_set1_epi16(255);
    __m128i a = _mm_load_si128((const __m128i *)t->word), b = _mm_load_si128((const __m128i *)(t->word + 8));
    __m128i bytes0 = _mm_packus_epi16(_mm_and_si128(a, even), _mm_and_si128(b, even));
    __m128i bytes1 = _mm_packus_epi16(_mm_srli_epi16(a, 8), _mm_srli_epi16(b, 8));
    for (; i + 32 <= n; i += 32) {
        __m128i x = _mm_loadu_si128((const __m128i *)(codes + i / 2));
        __m128i first = _mm_and_si128(_mm_srli_epi16(x, 4), low), second = _mm_and_si128(x, low);
        __m128i f0 = _mm_shuffle_epi8(bytes0, first), f1 = _mm_shuffle_epi8(bytes1, first);
        __m128i s0 = _mm_shuffle_epi8(bytes0, second), s1 = _mm_shuffle_epi8(bytes1, second);
        __m128i fl = _mm_unpacklo_epi8(f0, f1), fh = _mm_unpackhi_epi8(f0, f1);
        __m128i sl = _mm_unpacklo_epi8(s0, s1), sh = _mm_unpackhi_epi8(s0, s1);
        __m128i *to = (__m128i *)(out + i);
        _mm_storeu_si128(to, _mm_unpacklo_epi16(fl, sl));
        _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(fl, sl));
        _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(fh, sh));
        _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(fh, sh));
    }
#endif
    for (; i < n; i++) out[i] = t->word[i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15];
}

/* The same to f32. */
LANES_INLINE void look_up_floats(float *out, const uint8_t *codes, size_t n, const block_values *t)
{
    size_t i = 0;
#if defined(__AVX512F__)
    __m512 table = _mm512_load_ps(t->value);
    for (; i + 16 <= n; i += 16) {
        __m512i x = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(codes + i / 2)));
        __m512i index = _mm512_or_si512(_mm512_srli_epi64(x, 4), _mm512_slli_epi64(x, 32));
        _mm512_storeu_ps(out + i, _mm512_permutexvar_ps(index, table));
    }
#elif defined(__AVX2__)
    __m256 below = _mm256_load_ps(t->value), above = _mm256_load_ps(t->value + 8);
    for (; i + 8 <= n; i += 8) {
        int four;
        memcpy(&four, codes + i / 2, 4);
        __m256i x = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
        __m256i index = _mm256_or_si256(_mm256_srli_epi64(x, 4), _mm256_slli_epi64(x, 32));
        __m256 b = _mm256_permutevar8x32_ps(below, index), a = _mm256_permutevar8x32_ps(above, index);
        _mm256_storeu_ps(out + i, _mm256_blendv_ps(b, a, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28))));
    }
#endif
    for (; i < n; i++) out[i] = t->value[i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15];
}

LANES_INLINE void put_one(gt_dtype act, void *out, size_t to, int code, const block_values *t)
{
    if (act == GT_BF16)
        ((uint16_t *)out)[to] = t->word[code];
    else
        ((float *)out)[to] = t->value[code];
}

LANES_INLINE void fourbit_run(gt_dtype act, void *out, const gt_matrix *m, size_t first, size_t count)
{
    const uint8_t *codes = m->data;
    size_t block = (size_t)m->block, b = first / block, block2 = m->absmax ? 1 : (size_t)m->block2;
    scale_walk walk = {m, b, b / block2, b % block2};
    size_t done = 0;
    while (done < count) {
        size_t i = first + done, end = (i / block + 1) * block, n = end - i < count - done ? end - i : count - done;
        block_values t;
        make_values(act, &t, m, next_scale(&walk));
        if (i % 2 != 0) { /* an odd first element shares its byte with its neighbour */
            put_one(act, out, done, codes[i / 2] & 15, &t);
            done++, i++, n--;
        }
        if (act == GT_BF16)
            look_up_words((uint16_t *)out + done, codes + i / 2, n, &t);
        else
            look_up_floats((float *)out + done, codes + i / 2, n, &t);
        done += n;
    }
}

#endif
