#include "nf4.h"

#include <math.h>
#include <string.h>

const float gt_nf4_code[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

void gt_nf4_code2(float code2[256])
{
    /* For i = 0 ... 6: the 2^i midpoints of 2^i + 1 points evenly spaced over [0.1, 1], times 10^(i-6), in the very
     * roundings of the reference's linspace (from the left end in the lower half, from the right end in the upper). */
    static const float power[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
    int next = 128; /* positive entries ascend with i and j; entry 127 is 0 */
    code2[127] = 0.0f;
    for (int i = 0; i < 7; i++) {
        const int n = 1 << i;
        const float step = (1.0f - 0.1f) / (float)n;
        float point[65];
        for (int k = 0; k <= n; k++)
            point[k] = k < (n + 1) / 2 ? fmaf(step, (float)k, 0.1f) : fmaf(-step, (float)(n - k), 1.0f);
        for (int j = 0; j < n; j++, next++) {
            const float value = (point[j] + point[j + 1]) / 2.0f * power[i];
            code2[next] = value;
            code2[254 - next] = -value;
        }
    }
    code2[255] = 1.0f;
}

/* y [count] -> one code an element: the number of midpoints below it. Counted threshold by threshold over a whole
 * block, so that the compiler turns it into vector compares. */
static void codes_of(int32_t *code, const float *y, int count)
{
    for (int i = 0; i < count; i++) code[i] = 0;
    for (int k = 0; k < 15; k++) {
        const float middle = (gt_nf4_code[k] + gt_nf4_code[k + 1]) / 2.0f;
        for (int i = 0; i < count; i++) code[i] += y[i] > middle;
    }
}

bool gt_nf4_quantize(uint8_t *codes, float *absmax, const float *w, size_t n)
{
    for (size_t begin = 0; begin < n; begin += GT_NF4_BLOCK, w += GT_NF4_BLOCK, codes += GT_NF4_BLOCK / 2) {
        const int count = n - begin < GT_NF4_BLOCK ? (int)(n - begin) : GT_NF4_BLOCK;
        float y[GT_NF4_BLOCK];
        int32_t code[GT_NF4_BLOCK];
        float most = 0.0f;
        bool finite = true;
        for (int i = 0; i < count; i++) {
            const float a = fabsf(w[i]);
            finite &= a <= 3.40282347e+38f; /* false for NaN too */
            most = a > most ? a : most;
        }
        if (!finite) return false;
        const float least = most < 1e-38f ? 1e-38f : most;
        if (count == GT_NF4_BLOCK) {
            const float inverse = 1.0f / least;
            for (int i = 0; i < GT_NF4_BLOCK; i++) y[i] = w[i] * inverse;
            codes_of(code, y, GT_NF4_BLOCK);
        } else { /* the reference divides here, stores the clamped scale, and pads with the code of zero */
            most = least;
            for (int i = 0; i < GT_NF4_BLOCK; i++) y[i] = i < count ? w[i] / least : 0.0f;
            codes_of(code, y, GT_NF4_BLOCK);
        }
        for (int i = 0; i < (count + 1) / 2; i++) codes[i] = (uint8_t)(code[2 * i] << 4 | code[2 * i + 1]);
        absmax[begin / GT_NF4_BLOCK] = most;
    }
    return true;
}

float gt_nf4_offset(const float *absmax, size_t nb)
{
    double sum = 0.0;
    for (size_t i = 0; i < nb; i++) sum += (double)absmax[i];
    return nb ? (float)(sum / (double)nb) : 0.0f;
}

/* The entry of an ascending book nearest to v, the lower one on a tie. */
static uint8_t nearest(const float book[256], float v)
{
    int low = 0, high = 255; /* the first entry not below v, or 255 */
    while (low < high) {
        const int middle = (low + high) / 2;
        if (book[middle] < v)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && v - book[low - 1] <= book[low] - v) low--;
    return (uint8_t)low;
}

void gt_nf4_nest(uint8_t *absmax8, float *absmax2, const float *absmax, size_t nb, float offset, const float code2[256])
{
    for (size_t begin = 0; begin < nb; begin += GT_NF4_BLOCK2) {
        const size_t count = nb - begin < GT_NF4_BLOCK2 ? nb - begin : GT_NF4_BLOCK2;
        float most = 0.0f;
        for (size_t i = 0; i < count; i++) most = fmaxf(most, fabsf(absmax[begin + i] - offset));
        absmax2[begin / GT_NF4_BLOCK2] = most;
        if (most == 0.0f) {
            memset(absmax8 + begin, 0, count);
            continue;
        }
        const float inverse = 1.0f / most;
        for (size_t i = 0; i < count; i++) {
            const float y = fminf(fmaxf((absmax[begin + i] - offset) * inverse, -1.0f), 1.0f);
            const float grid = floorf((y + 1.0f) * 32767.5f + 0.5f);
            absmax8[begin + i] = nearest(code2, fminf(grid, 65535.0f) * 2.0f / 65535.0f - 1.0f);
        }
    }
}

/* The scale of a block, of either level. */
static float scale_of(const gt_matrix *m, size_t block)
{
    if (m->absmax) return m->absmax[block];
    const float product = m->code2[m->absmax8[block]] * m->absmax2[block / (size_t)m->block2];
    return product + m->offset; /* two roundings: -ffp-contract=off */
}

static float rounded(float v, gt_dtype to)
{
    if (to == GT_BF16) return gt_bf16_to_f32(gt_f32_to_bf16(v));
    if (to == GT_F16) return gt_f16_to_f32(gt_f32_to_f16(v));
    return v;
}

void gt_nf4_dequantize(float *out, const gt_matrix *m, size_t begin, size_t n)
{
    const uint8_t *codes = m->data;
    const size_t block = (size_t)m->block;
    float scale = 0.0f;
    for (size_t e = begin; e < begin + n; e++) {
        if (e == begin || e % block == 0) scale = scale_of(m, e / block);
        const int code = e & 1 ? codes[e / 2] & 15 : codes[e / 2] >> 4;
        out[e - begin] = rounded(m->code[code] * scale, m->round_to);
    }
}
