#include "dtype.h"

static const struct {
    gt_dtype type;
    int elements, bytes;
    const char *name;
} formats[] = {
    {GT_F32, 1, 4, "F32"},       {GT_F16, 1, 2, "F16"},       {GT_BF16, 1, 2, "BF16"},     {GT_F64, 1, 8, "F64"},
    {GT_U8, 1, 1, "U8"},         {GT_I8, 1, 1, "I8"},         {GT_I32, 1, 4, "I32"},       {GT_I64, 1, 8, "I64"},
    {GT_U32, 1, 4, "U32"},       {GT_U64, 1, 8, "U64"},       {GT_I16, 1, 2, "I16"},       {GT_U16, 1, 2, "U16"},
    {GT_BOOL, 1, 1, "BOOL"},     {GT_NF4, 2, 1, "NF4"},       {GT_FP4, 2, 1, "FP4"},       {GT_Q4_0, 32, 18, "Q4_0"},
    {GT_Q4_1, 32, 20, "Q4_1"},   {GT_Q5_0, 32, 22, "Q5_0"},   {GT_Q5_1, 32, 24, "Q5_1"},   {GT_Q8_0, 32, 34, "Q8_0"},
    {GT_Q4_K, 256, 144, "Q4_K"}, {GT_Q5_K, 256, 176, "Q5_K"}, {GT_Q6_K, 256, 210, "Q6_K"},
};

static int find(gt_dtype t)
{
    for (int i = 0; i < (int)(sizeof formats / sizeof *formats); i++)
        if (formats[i].type == t) return i;
    return -1;
}

int gt_dtype_block_elements(gt_dtype t)
{
    int i = find(t);
    return i < 0 ? 0 : formats[i].elements;
}

int gt_dtype_block_bytes(gt_dtype t)
{
    int i = find(t);
    return i < 0 ? 0 : formats[i].bytes;
}

bool gt_dtype_is_weight(gt_dtype t)
{
    return t == GT_F32 || t == GT_F16 || t == GT_BF16 || t == GT_F64 || gt_dtype_block_elements(t) > 1;
}

const char *gt_dtype_name(gt_dtype t)
{
    int i = find(t);
    return i < 0 ? "?" : formats[i].name;
}

float gt_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = (h >> 10) & 31u, m = h & 1023u, u;
    if (e == 31)
        u = sign | 0x7f800000u | (m << 13);
    else if (e != 0)
        u = sign | ((e + 112) << 23) | (m << 13);
    else { /* subnormal: m * 2^-24 is exact in float */
        float f = (float)m * 0x1p-24f;
        return sign ? -f : f;
    }
    float f;
    memcpy(&f, &u, 4);
    return f;
}

uint16_t gt_f32_to_f16(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    uint16_t sign = (uint16_t)((u >> 16) & 0x8000u);
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (u >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to 65536 or more */
    if (u < 0x38800000u) {                                   /* subnormal half: the sum rounds at 2^-24 */
        float a;
        memcpy(&a, &u, 4);
        a += 0.5f;
        uint32_t r;
        memcpy(&r, &a, 4);
        return (uint16_t)(sign | (uint16_t)(r - 0x3f000000u));
    }
    u += 0xc8000fffu + ((u >> 13) & 1u);
    return (uint16_t)(sign | (uint16_t)(u >> 13));
}
