/* The head's tiles sixteen rows of the batch at a time: a lane is a row, walked down the vocabulary, so that greatest
 * logit, id and sum stay in registers and no lane ever waits for another. */
#include "xent_tiles.h"

#include "exp_avx512.h"

#include <stddef.h>

static void tile_max(const float *z, int vocab, int cols, int32_t first, float *best, int32_t *id)
{
    for (int c = 0; c < cols; c += 16) {
        __m512 top = _mm512_loadu_ps(best + c);
        __m512i at = _mm512_loadu_si512(id + c);
        for (int v = 0; v < vocab; v++) {
            const __m512 x = _mm512_loadu_ps(z + (size_t)v * (size_t)cols + (size_t)c);
            const __mmask16 more = _mm512_cmp_ps_mask(x, top, _CMP_GT_OQ);
            top = _mm512_mask_mov_ps(top, more, x);
            at = _mm512_mask_mov_epi32(at, more, _mm512_set1_epi32(first + v));
        }
        _mm512_storeu_ps(best + c, top);
        _mm512_storeu_si512(id + c, at);
    }
}

static inline void tile_exp_as(const float *z, int vocab, int cols, const float *most, double *sum, void *p, bool wide,
                               bool round)
{
    for (int c = 0; c < cols; c += 16) {
        const __m512 m = _mm512_loadu_ps(most + c);
        __m512 total = _mm512_setzero_ps();
        for (int v = 0; v < vocab; v++) {
            const size_t at = (size_t)v * (size_t)cols + (size_t)c;
            const __m512 e = gt_exp_ps(_mm512_sub_ps(_mm512_loadu_ps(z + at), m));
            total = _mm512_add_ps(total, e);
            if (wide)
                _mm512_storeu_ps((float *)p + at, round ? gt_round_ps(e) : e);
            else
                _mm256_storeu_si256((__m256i *)((uint16_t *)p + at), gt_narrow_ps(e));
        }
        const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(total));
        const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(total, 1));
        _mm512_storeu_pd(sum + c, _mm512_add_pd(_mm512_loadu_pd(sum + c), low));
        _mm512_storeu_pd(sum + c + 8, _mm512_add_pd(_mm512_loadu_pd(sum + c + 8), high));
    }
}

static void tile_exp(const float *z, int vocab, int cols, const float *most, double *sum, void *p, bool wide,
                     bool round)
{
    if (!wide)
        tile_exp_as(z, vocab, cols, most, sum, p, false, true);
    else
        tile_exp_as(z, vocab, cols, most, sum, p, true, round);
}

static inline __m512 load(const void *p, gt_dtype t, size_t i, __mmask16 on)
{
    return t == GT_BF16 ? gt_widen_ps(_mm256_maskz_loadu_epi16(on, (const uint16_t *)p + i))
                        : _mm512_maskz_loadu_ps(on, (const float *)p + i);
}

static inline void row_dot_as(float *out, const void *x, const void *e, gt_dtype t, int vocab, int hidden)
{
    for (int v = 0; v < vocab; v++) {
        const size_t row = (size_t)v * (size_t)hidden;
        __m512 even = _mm512_setzero_ps(), odd = even;
        for (int c = 0; c < hidden; c += 32) {
            const int left = hidden - c;
            const __mmask16 on = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
            const __mmask16 more = left >= 32 ? 0xffff : left <= 16 ? 0 : (__mmask16)((1u << (left - 16)) - 1);
            const size_t i = (size_t)c, j = i + 16;
            even = _mm512_fmadd_ps(load(x, t, i, on), load(e, t, row + i, on), even);
            odd = _mm512_fmadd_ps(load(x, t, j, more), load(e, t, row + j, more), odd);
        }
        out[v] = _mm512_reduce_add_ps(_mm512_add_ps(even, odd));
    }
}

static void row_dot(float *out, const void *x, const void *e, gt_dtype t, int vocab, int hidden)
{
    if (t == GT_BF16)
        row_dot_as(out, x, e, GT_BF16, vocab, hidden);
    else
        row_dot_as(out, x, e, GT_F32, vocab, hidden);
}

const gt_xent_tiles gt_xent_tiles_avx512 = {tile_max, tile_exp, row_dot};
