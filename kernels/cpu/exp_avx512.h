/* exp_avx512.h - vector helpers shared by the AVX-512 kernels of attention and the head; included by *_avx512.c only.
 */
#ifndef GT_EXP_AVX512_H
#define GT_EXP_AVX512_H

#include <immintrin.h>
#include <stdint.h>

/* e^x to within 2 units in the last place; 0 below -104, inf above 88.7; NaN stays NaN.
 * x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts; e^r by its Taylor polynomial to r^7 (error below 2^-27). */
static inline __m512 gt_exp_ps(__m512 x)
{
    const __m512 n =
        _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8); /* nearest even, no exception */
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145751953125f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.428606765e-6f), r);
    __m512 p = _mm512_set1_ps(1.0f / 5040.0f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* 16 bf16 values to float32. */
static inline __m512 gt_widen_ps(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* Nearest bf16 value, ties to even, as float32 bits whose low half is to be dropped. The NaNs that arithmetic makes
 * stay NaN. */
static inline __m512i gt_round_bits(__m512 x)
{
    const __m512i u = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
}

static inline __m512 gt_round_ps(__m512 x)
{
    return _mm512_castsi512_ps(_mm512_and_si512(gt_round_bits(x), _mm512_set1_epi32((int)0xffff0000)));
}

/* 16 floats to bf16; a NaN stays one (its payload's low half may be lost to infinity otherwise). */
static inline __m256i gt_narrow_ps(__m512 x)
{
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i bits = _mm512_mask_mov_epi32(gt_round_bits(x), nan, _mm512_set1_epi32(0x7fc00000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
}

#endif
