/* lanes.h - a vector of floats as wide as the file that includes it may use: 16 lanes with AVX-512, 8 with AVX2, 4
 * otherwise. + - * / and comparisons are the compiler's own on such vectors (a comparison gives all ones or zero a
 * lane); here stands what C has no operator for. Loops over rows are written once (*_rows.h) and compiled once a path.
 */
#ifndef GT_LANES_H
#define GT_LANES_H

#include "dtype.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float vfloat __attribute__((vector_size(LANES * 4)));
typedef int32_t vint __attribute__((vector_size(LANES * 4)));
typedef uint32_t vuint __attribute__((vector_size(LANES * 4)));
typedef double vdouble __attribute__((vector_size(LANES * 4)));
typedef uint64_t vu64 __attribute__((vector_size(LANES * 4)));
typedef int64_t vi64 __attribute__((vector_size(LANES * 4)));

#define LANES_INLINE static inline __attribute__((always_inline))

LANES_INLINE vfloat v_set(float x)
{
    return x - (vfloat){0}; /* broadcasts, and keeps -0 and NaN */
}

/* mask ? a : b */
LANES_INLINE vfloat v_select(vint mask, vfloat a, vfloat b)
{
    return (vfloat)(((vint)a & mask) | ((vint)b & ~mask));
}

LANES_INLINE vfloat v_load_f32(const float *p)
{
    vfloat v;
    memcpy(&v, p, sizeof v);
    return v;
}

LANES_INLINE void v_store_f32(float *p, vfloat v)
{
    memcpy(p, &v, sizeof v);
}

/* a * b + c, in one rounding where the path has the instruction: part of the path's numerics. */
LANES_INLINE vfloat v_fma(vfloat a, vfloat b, vfloat c)
{
#if defined(__AVX512F__)
    return (vfloat)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (vfloat)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* The lesser and the greater; a NaN in b stays. */
LANES_INLINE vfloat v_min(vfloat a, vfloat b)
{
#if defined(__AVX512F__)
    return (vfloat)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vfloat)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return (vfloat)_mm_min_ps((__m128)a, (__m128)b);
#endif
}

LANES_INLINE vfloat v_max(vfloat a, vfloat b)
{
#if defined(__AVX512F__)
    return (vfloat)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vfloat)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return (vfloat)_mm_max_ps((__m128)a, (__m128)b);
#endif
}

/* The bf16 of each lane in its low half, nearest even; NaN stays a quiet NaN. */
LANES_INLINE vuint v_bf16_bits(vfloat v)
{
    vuint u = (vuint)v, high = u >> 16, rounded = (u + 0x7fff + (high & 1)) >> 16;
#if defined(__AVX512F__)
    __mmask16 nan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
    return (vuint)_mm512_mask_or_epi32((__m512i)rounded, nan, (__m512i)high, _mm512_set1_epi32(0x40));
#else
    vuint nan = (vuint)(v != v);
    return (rounded & ~nan) | ((high | 0x40) & nan);
#endif
}

/* What storing as bf16 and reading back gives. With AVX512_BF16 one instruction rounds, and makes bf16 subnormals
 * (below 1.2e-38) zero; v_store_bf16_exact and v_bf16_bits never do. */
LANES_INLINE vfloat v_round_bf16(vfloat v)
{
#if defined(__AVX512BF16__)
    __m512i words = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v));
    return (vfloat)_mm512_slli_epi32(words, 16);
#else
    return (vfloat)(v_bf16_bits(v) << 16);
#endif
}

LANES_INLINE vfloat v_load_bf16(const uint16_t *p)
{
#if defined(__AVX512F__)
    return (vfloat)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
#elif defined(__AVX2__)
    return (vfloat)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16);
#else
    return (vfloat)_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64((const __m128i *)p));
#endif
}

LANES_INLINE void v_store_bf16_exact(uint16_t *p, vfloat v)
{
    vuint bits = v_bf16_bits(v);
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16((__m512i)bits));
#elif defined(__AVX2__)
    __m256i packed = _mm256_packus_epi32((__m256i)bits, (__m256i)bits);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
#else
    vint narrow = (vint)(bits << 16) >> 16; /* sign-extended, so that the saturating pack keeps the bits */
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi32((__m128i)narrow, (__m128i)narrow));
#endif
}

LANES_INLINE void v_store_bf16(uint16_t *p, vfloat v)
{
#if defined(__AVX512BF16__)
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    v_store_bf16_exact(p, v);
#endif
}

/* Signed bytes part * LANES onward of the 16 in q, as floats; part < 16 / LANES is a constant once inlined. */
LANES_INLINE vfloat v_from_i8(__m128i q, int part)
{
#if defined(__AVX512F__)
    (void)part;
    return (vfloat)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q));
#elif defined(__AVX2__)
    return (vfloat)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(part ? _mm_srli_si128(q, 8) : q));
#else
    __m128i words =
        part < 2 ? _mm_unpacklo_epi8(q, q) : _mm_unpackhi_epi8(q, q); /* each byte twice, then shifted down */
    __m128i wide = part % 2 ? _mm_unpackhi_epi16(words, words) : _mm_unpacklo_epi16(words, words);
    return (vfloat)_mm_cvtepi32_ps(_mm_srai_epi32(wide, 24));
#endif
}

/* Element i onward of p, and the store: t is GT_BF16 or GT_F32. */
LANES_INLINE vfloat v_load(gt_dtype t, const void *p, ptrdiff_t i)
{
    return t == GT_BF16 ? v_load_bf16((const uint16_t *)p + i) : v_load_f32((const float *)p + i);
}

LANES_INLINE void v_store(gt_dtype t, void *p, ptrdiff_t i, vfloat v)
{
    if (t == GT_BF16)
        v_store_bf16((uint16_t *)p + i, v);
    else
        v_store_f32((float *)p + i, v);
}

/* The same for n < LANES elements: nothing beyond them is touched; the other lanes read as zero. */
LANES_INLINE vfloat v_load_part(gt_dtype t, const void *p, ptrdiff_t i, ptrdiff_t n)
{
    uint32_t copy[LANES] = {0};
    if (t == GT_BF16)
        memcpy(copy, (const uint16_t *)p + i, (size_t)n * 2);
    else
        memcpy(copy, (const float *)p + i, (size_t)n * 4);
    return v_load(t, copy, 0);
}

LANES_INLINE void v_store_part(gt_dtype t, void *p, ptrdiff_t i, ptrdiff_t n, vfloat v)
{
    uint32_t copy[LANES];
    v_store(t, copy, 0, v);
    if (t == GT_BF16)
        memcpy((uint16_t *)p + i, copy, (size_t)n * 2);
    else
        memcpy((float *)p + i, copy, (size_t)n * 4);
}

/* Whole vectors where left >= LANES, else the part: loops step by LANES and pass what is left. */
LANES_INLINE vfloat v_load_left(gt_dtype t, const void *p, ptrdiff_t i, ptrdiff_t left)
{
    return left >= LANES ? v_load(t, p, i) : v_load_part(t, p, i, left);
}

LANES_INLINE void v_store_left(gt_dtype t, void *p, ptrdiff_t i, ptrdiff_t left, vfloat v)
{
    if (left >= LANES)
        v_store(t, p, i, v);
    else
        v_store_part(t, p, i, left, v);
}

/* What storing to t and reading back gives. */
LANES_INLINE vfloat v_round(gt_dtype t, vfloat v)
{
    return t == GT_BF16 ? v_round_bf16(v) : v;
}

/* Lanes added as a tree: (0 + L/2), (1 + L/2 + 1) ..., then halves again. */
LANES_INLINE float v_sum(vfloat v)
{
    float lane[LANES];
    v_store_f32(lane, v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

/* exp(x) for -87 <= x <= 88 to about an ulp: x = n ln 2 + r, |r| <= ln 2 / 2, exp(r) by its Taylor series to r^7
 * (remainder 3e-9), ln 2 in two parts of which the first ends in 7 zero bits, so that n times it is exact. NaN gives
 * NaN. */
LANES_INLINE vfloat v_exp(vfloat x)
{
    vfloat shifted = v_fma(x, v_set(1.44269504f), v_set(12582912.0f)); /* 1.5 * 2^23: n stands in the low bits */
    vfloat n = shifted - 12582912.0f;
    vfloat r = v_fma(n, v_set(-6.9313812256e-01f), x);
    r = v_fma(n, v_set(-9.0580006145e-06f), r);
    vfloat e = v_fma(v_set(1.98412698e-4f), r, v_set(1.38888889e-3f));
    e = v_fma(e, r, v_set(8.33333333e-3f));
    e = v_fma(e, r, v_set(4.16666667e-2f));
    e = v_fma(e, r, v_set(1.66666667e-1f));
    e = v_fma(e, r, v_set(0.5f));
    e = v_fma(e * r, r, r) + 1.0f;
    return e * (vfloat)(((vuint)shifted << 23) + 0x3f800000);
}

#endif
