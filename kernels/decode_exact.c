/* The arbiter of what stored weights mean: every format written down once as its definition reads, one element at a
 * time, with no thought of speed. It shares nothing with the decoders it judges (kernels/cpu/decode_rows.h): an error
 * in common would pass every comparison. */
#include "decode.h"

static float half_at(const uint8_t *p)
{
    return gt_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void q4(double *y, const uint8_t *b, bool has_min)
{
    float d = half_at(b), m = has_min ? half_at(b + 2) : 0;
    const uint8_t *qs = b + (has_min ? 4 : 2);
    for (int j = 0; j < 32; j++) {
        int q = j < 16 ? qs[j] & 15 : qs[j - 16] >> 4;
        y[j] = has_min ? d * (float)q + m : d * (float)(q - 8);
    }
}

static void q5(double *y, const uint8_t *b, bool has_min)
{
    float d = half_at(b), m = has_min ? half_at(b + 2) : 0;
    uint32_t qh = word_at(b + (has_min ? 4 : 2));
    const uint8_t *qs = b + (has_min ? 8 : 6);
    for (int j = 0; j < 32; j++) {
        int q = (j < 16 ? qs[j] & 15 : qs[j - 16] >> 4) | (int)((qh >> j) & 1) << 4;
        y[j] = has_min ? d * (float)q + m : d * (float)(q - 16);
    }
}

static void q8_0(double *y, const uint8_t *b)
{
    float d = half_at(b);
    for (int j = 0; j < 32; j++) y[j] = d * (float)(int8_t)b[2 + j];
}

/* The six-bit scale and minimum of sub-block s (0 to 7) from the 12 bytes S. */
static void k_scale(const uint8_t *S, int s, int *sc, int *mn)
{
    if (s < 4) {
        *sc = S[s] & 63;
        *mn = S[s + 4] & 63;
    } else {
        *sc = (S[s + 4] & 15) | (S[s - 4] >> 6) << 4;
        *mn = (S[s + 4] >> 4) | (S[s] >> 6) << 4;
    }
}

static void q45_k(double *y, const uint8_t *b, bool five)
{
    float d = half_at(b), dmin = half_at(b + 2);
    const uint8_t *S = b + 4, *qh = b + 16, *qs = b + (five ? 48 : 16);
    for (int s = 0; s < 8; s++) {
        int sc, mn;
        k_scale(S, s, &sc, &mn);
        float ds = d * (float)sc, ms = dmin * (float)mn;
        for (int l = 0; l < 32; l++) {
            int q = (qs[32 * (s / 2) + l] >> (s % 2 * 4)) & 15;
            if (five) q |= ((qh[l] >> s) & 1) << 4;
            float product = ds * (float)q;
            y[32 * s + l] = product - ms;
        }
    }
}

static void q6_k(double *y, const uint8_t *b)
{
    const uint8_t *ql = b, *qh = b + 128;
    const int8_t *scales = (const int8_t *)b + 192;
    float d = half_at(b + 208);
    for (int e = 0; e < 256; e++) {
        int n = e / 128, r = e / 32 % 4, l = e % 32;
        int low = (ql[64 * n + 32 * (r & 1) + l] >> (4 * (r >> 1))) & 15;
        int high = (qh[32 * n + l] >> (2 * r)) & 3;
        float ds = d * (float)scales[e / 16];
        y[e] = ds * (float)((low | high << 4) - 32);
    }
}

static double four_bit(const gt_matrix *m, size_t i)
{
    const uint8_t *codes = m->data;
    int code = i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15;
    size_t b = i / (size_t)m->block;
    float scale;
    if (m->absmax)
        scale = m->absmax[b];
    else {
        scale = m->code2[m->absmax8[b]] * m->absmax2[b / (size_t)m->block2];
        scale = scale + m->offset;
    }
    return m->code[code] * scale;
}

static double element(const gt_matrix *m, size_t i)
{
    switch (m->dtype) {
    case GT_F32:
        return ((const float *)m->data)[i];
    case GT_F16:
        return gt_f16_to_f32(((const uint16_t *)m->data)[i]);
    case GT_BF16:
        return gt_bf16_to_f32(((const uint16_t *)m->data)[i]);
    case GT_F64:
        return ((const double *)m->data)[i];
    default:
        return four_bit(m, i);
    }
}

static void blocks(double *out, const gt_matrix *m, size_t first, size_t count)
{
    size_t in_block = (size_t)gt_dtype_block_elements(m->dtype), bytes = (size_t)gt_dtype_block_bytes(m->dtype);
    const uint8_t *b = (const uint8_t *)m->data + first / in_block * bytes;
    for (size_t i = 0; i < count; i += in_block, b += bytes) {
        switch (m->dtype) {
        case GT_Q4_0:
            q4(out + i, b, false);
            break;
        case GT_Q4_1:
            q4(out + i, b, true);
            break;
        case GT_Q5_0:
            q5(out + i, b, false);
            break;
        case GT_Q5_1:
            q5(out + i, b, true);
            break;
        case GT_Q8_0:
            q8_0(out + i, b);
            break;
        case GT_Q4_K:
            q45_k(out + i, b, false);
            break;
        case GT_Q5_K:
            q45_k(out + i, b, true);
            break;
        default:
            q6_k(out + i, b);
            break;
        }
    }
}

void gt_decode_exact(double *out, const gt_matrix *m, size_t first, size_t count)
{
    if (gt_dtype_block_elements(m->dtype) > 2)
        blocks(out, m, first, count);
    else
        for (size_t i = 0; i < count; i++) out[i] = element(m, first + i);
    if (m->round_to == GT_BF16)
        for (size_t i = 0; i < count; i++) out[i] = gt_bf16_to_f32(gt_f64_to_bf16(out[i]));
    else if (m->round_to == GT_F16)
        for (size_t i = 0; i < count; i++) out[i] = gt_f16_to_f32(gt_f32_to_f16((float)out[i]));
}
