/* decode_rows.h - stored weights to act over a run of elements; included by rows_<path>.c. GGUF blocks are unpacked
 * to signed bytes, scaled to floats in a small buffer and rounded from there; 4-bit codes are looked up
 * (fourbit_rows.h). */
#ifndef GT_DECODE_ROWS_H
#define GT_DECODE_ROWS_H

#include "decode.h"
#include "fourbit_rows.h"
#include "lanes.h"

LANES_INLINE float half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
#if defined(__F16C__)
    return _cvtsh_ss(h);
#else
    return gt_f16_to_f32(h);
#endif
}

/* The low and the high nibbles of 16 bytes: elements 0 to 15 and 16 to 31 of a block of 32. */
typedef struct {
    __m128i low, high;
} byte_pair;

LANES_INLINE byte_pair nibbles(const uint8_t *packed)
{
    const __m128i mask = _mm_set1_epi8(15);
    __m128i x = _mm_loadu_si128((const __m128i *)packed);
    return (byte_pair){_mm_and_si128(x, mask), _mm_and_si128(_mm_srli_epi16(x, 4), mask)};
}

/* 16 in each of 16 bytes whose bit is set. */
LANES_INLINE __m128i sixteens(unsigned bits)
{
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    return _mm_maskz_set1_epi8((__mmask16)bits, 16);
#else
    const __m128i one = _mm_set1_epi64x((long long)0x8040201008040201ull);
    __m128i x = _mm_unpacklo_epi64(_mm_set1_epi8((char)bits), _mm_set1_epi8((char)(bits >> 8)));
    return _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(x, one), one), _mm_set1_epi8(16));
#endif
}

/* v = d * (q - zero) and v = d * q + add for the 16 bytes of q. */
LANES_INLINE void scaled(float *v, __m128i q, float d, float zero)
{
    for (int part = 0; part < 16 / LANES; part++) v_store_f32(v + part * LANES, (v_from_i8(q, part) - zero) * d);
}

LANES_INLINE void scaled_plus(float *v, __m128i q, float d, float add)
{
    for (int part = 0; part < 16 / LANES; part++) v_store_f32(v + part * LANES, v_from_i8(q, part) * d + add);
}

LANES_INLINE void scaled_pair(float *v, byte_pair q, const uint8_t *scales, bool has_min, float zero)
{
    float d = half_at(scales);
    if (has_min) {
        float add = half_at(scales + 2);
        scaled_plus(v, q.low, d, add);
        scaled_plus(v + 16, q.high, d, add);
    } else {
        scaled(v, q.low, d, zero);
        scaled(v + 16, q.high, d, zero);
    }
}

LANES_INLINE void q4_block(float *v, const uint8_t *b, bool has_min)
{
    scaled_pair(v, nibbles(b + (has_min ? 4 : 2)), b, has_min, 8);
}

LANES_INLINE void q5_block(float *v, const uint8_t *b, bool has_min)
{
    uint32_t bits;
    memcpy(&bits, b + (has_min ? 4 : 2), 4);
    byte_pair q = nibbles(b + (has_min ? 8 : 6));
    q.low = _mm_or_si128(q.low, sixteens(bits & 0xffff));
    q.high = _mm_or_si128(q.high, sixteens(bits >> 16));
    scaled_pair(v, q, b, has_min, 16);
}

LANES_INLINE void q8_block(float *v, const uint8_t *b)
{
    float d = half_at(b);
    scaled(v, _mm_loadu_si128((const __m128i *)(b + 2)), d, 0);
    scaled(v + 16, _mm_loadu_si128((const __m128i *)(b + 18)), d, 0);
}

LANES_INLINE void q45_k_block(float *v, const uint8_t *b, bool five)
{
    float d = half_at(b), dmin = half_at(b + 2);
    const uint8_t *S = b + 4, *qh = b + 16, *qs = b + (five ? 48 : 16);
    for (int s = 0; s < 8; s++) {
        int sc = s < 4 ? S[s] & 63 : (S[s + 4] & 15) | (S[s - 4] >> 6) << 4;
        int mn = s < 4 ? S[s + 4] & 63 : (S[s + 4] >> 4) | (S[s] >> 6) << 4;
        float ds = d * (float)sc, ms = dmin * (float)mn;
        for (int l = 0; l < 32; l += 16) {
            __m128i x = _mm_loadu_si128((const __m128i *)(qs + 32 * (s / 2) + l));
            x = _mm_and_si128(s % 2 ? _mm_srli_epi16(x, 4) : x, _mm_set1_epi8(15));
            if (five) {
                __m128i h = _mm_srl_epi16(_mm_loadu_si128((const __m128i *)(qh + l)), _mm_cvtsi32_si128(s));
                x = _mm_or_si128(x, _mm_slli_epi16(_mm_and_si128(h, _mm_set1_epi8(1)), 4));
            }
            scaled_plus(v + 32 * s + l, x, ds, -ms);
        }
    }
}

LANES_INLINE void q6_k_block(float *v, const uint8_t *b)
{
    const int8_t *scales = (const int8_t *)b + 192;
    float d = half_at(b + 208);
    for (int e = 0; e < 256; e += 16) {
        int n = e / 128, r = e / 32 % 4, l = e % 32;
        __m128i low = _mm_loadu_si128((const __m128i *)(b + 64 * n + 32 * (r & 1) + l));
        __m128i high = _mm_loadu_si128((const __m128i *)(b + 128 + 32 * n + l));
        low = _mm_and_si128(r >> 1 ? _mm_srli_epi16(low, 4) : low, _mm_set1_epi8(15));
        high = _mm_and_si128(_mm_srl_epi16(high, _mm_cvtsi32_si128(2 * r)), _mm_set1_epi8(3));
        scaled(v + e, _mm_or_si128(low, _mm_slli_epi16(high, 4)), d * (float)scales[e / 16], 32);
    }
}

LANES_INLINE void gguf_blocks(float *v, gt_dtype t, const uint8_t *b, size_t count)
{
    size_t in_block = (size_t)gt_dtype_block_elements(t), bytes = (size_t)gt_dtype_block_bytes(t);
    for (size_t i = 0; i < count; i += in_block, b += bytes) {
        switch (t) {
        case GT_Q4_0:
            q4_block(v + i, b, false);
            break;
        case GT_Q4_1:
            q4_block(v + i, b, true);
            break;
        case GT_Q5_0:
            q5_block(v + i, b, false);
            break;
        case GT_Q5_1:
            q5_block(v + i, b, true);
            break;
        case GT_Q8_0:
            q8_block(v + i, b);
            break;
        case GT_Q4_K:
            q45_k_block(v + i, b, false);
            break;
        case GT_Q5_K:
            q45_k_block(v + i, b, true);
            break;
        default:
            q6_k_block(v + i, b);
            break;
        }
    }
}

/* Elements [first, first + count) of an element or GGUF format, count at most 256, before any rounding. */
static void chunk_values(float *v, const gt_matrix *m, size_t first, size_t count)
{
    size_t in_block = (size_t)gt_dtype_block_elements(m->dtype);
    const uint8_t *data = (const uint8_t *)m->data + first / in_block * (size_t)gt_dtype_block_bytes(m->dtype);
    switch (m->dtype) {
    case GT_F32:
        memcpy(v, data, count * 4);
        break;
    case GT_BF16:
        for (ptrdiff_t i = 0; i < (ptrdiff_t)count; i += LANES)
            v_store_left(GT_F32, v, i, (ptrdiff_t)count - i, v_load_left(GT_BF16, data, i, (ptrdiff_t)count - i));
        break;
    case GT_F16: {
        size_t i = 0;
#if defined(__AVX512F__)
        for (; i + 16 <= count; i += 16)
            _mm512_storeu_ps(v + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(data + 2 * i))));
#elif defined(__F16C__)
        for (; i + 8 <= count; i += 8)
            _mm256_storeu_ps(v + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(data + 2 * i))));
#endif
        for (; i < count; i++) v[i] = half_at(data + 2 * i);
        break;
    }
    default:
        gguf_blocks(v, m->dtype, data, count);
        break;
    }
}

/* The rare double weight: rounded once from double, which a float in between would not do. */
static void decode_f64(gt_dtype act, void *out, const gt_matrix *m, size_t first, size_t count)
{
    const double *data = (const double *)m->data + first;
    for (size_t i = 0; i < count; i++) {
        double v = data[i];
        if (m->round_to == GT_BF16)
            v = gt_bf16_to_f32(gt_f64_to_bf16(v));
        else if (m->round_to == GT_F16)
            v = gt_f16_to_f32(gt_f32_to_f16((float)v));
        if (act == GT_BF16)
            ((uint16_t *)out)[i] = gt_f64_to_bf16(v);
        else
            ((float *)out)[i] = (float)v;
    }
}

LANES_INLINE void decode_run(gt_dtype act, void *out, const gt_matrix *m, size_t first, size_t count)
{
    enum { CHUNK = 256 }; /* a multiple of every format's block */
    if (gt_dtype_fourbit(m->dtype)) {
        fourbit_run(act, out, m, first, count);
        return;
    }
    if (m->dtype == GT_F64) {
        decode_f64(act, out, m, first, count);
        return;
    }
    if (m->dtype == GT_BF16 && act == GT_BF16 && m->round_to != GT_F16) {
        memcpy(out, (const uint16_t *)m->data + first, count * 2);
        return;
    }
    float v[CHUNK];
    for (size_t at = 0; at < count; at += CHUNK) {
        size_t n = count - at < CHUNK ? count - at : CHUNK;
        chunk_values(v, m, first + at, n);
        if (m->round_to == GT_F16)
            for (size_t i = 0; i < n; i++) v[i] = gt_f16_to_f32(gt_f32_to_f16(v[i]));
        bool twice = act == GT_F32 && m->round_to == GT_BF16;
        for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i += LANES) {
            vfloat x = v_load_left(GT_F32, v, i, (ptrdiff_t)n - i);
            v_store_left(act, out, (ptrdiff_t)at + i, (ptrdiff_t)n - i, twice ? v_round_bf16(x) : x);
        }
    }
}

static void decode_to_f32(void *out, const gt_matrix *m, size_t first, size_t count)
{
    decode_run(GT_F32, out, m, first, count);
}

static void decode_to_bf16(void *out, const gt_matrix *m, size_t first, size_t count)
{
    decode_run(GT_BF16, out, m, first, count);
}

#endif
