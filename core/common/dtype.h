/* dtype.h - element and block formats of tensors, their sizes, and conversions between bf16, f16 and f32. */
#ifndef GT_DTYPE_H
#define GT_DTYPE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Element formats first, then formats that pack a block of elements of one row. Values are stored in .gtq files and
 * checkpoints: never renumber. */
typedef enum {
    GT_F32 = 0,
    GT_F16 = 1,
    GT_BF16 = 2,
    GT_F64 = 3,
    GT_U8 = 4,
    GT_I8 = 5,
    GT_I32 = 6,
    GT_I64 = 7,
    GT_U32 = 8,
    GT_U64 = 9,
    GT_I16 = 10,
    GT_U16 = 11,
    GT_BOOL = 12,
    /* block formats: docs/model/formats.md section 3 (GGUF), docs/model/quant.md (NF4, FP4: codes only, scales lie
       apart) */
    GT_NF4 = 32,
    GT_FP4 = 33,
    GT_Q4_0 = 40,
    GT_Q4_1 = 41,
    GT_Q5_0 = 42,
    GT_Q5_1 = 43,
    GT_Q8_0 = 44,
    GT_Q4_K = 45,
    GT_Q5_K = 46,
    GT_Q6_K = 47
} gt_dtype;

/* Elements in a block (1 for element formats; 2 for GT_NF4/GT_FP4: two codes a byte) and bytes a block; 0 for a value
 * that is no gt_dtype. */
int gt_dtype_block_elements(gt_dtype t);
int gt_dtype_block_bytes(gt_dtype t);

/* Whether a matrix of it holds 4-bit codes with scales apart: GT_NF4 or GT_FP4. */
static inline bool gt_dtype_fourbit(gt_dtype t)
{
    return t == GT_NF4 || t == GT_FP4;
}

/* Whether stored weights may have it: F32, F16, BF16, F64 and every block format; integers and booleans hold none. */
bool gt_dtype_is_weight(gt_dtype t);

/* "F32", "BF16", "Q5_0" ...: safetensors' and GGUF's spelling; "?" for no gt_dtype. Static string. */
const char *gt_dtype_name(gt_dtype t);

static inline float gt_bf16_to_f32(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* Round to nearest, ties to even; NaN stays a (quiet) NaN. */
static inline uint16_t gt_f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

/* One rounding from double: going through float first would round twice. */
static inline uint16_t gt_f64_to_bf16(double d)
{
    float f = (float)d;
    double back = (double)f;
    if (back != d && !isnan(d) && !isinf(f)) { /* round to odd in float, so that the second rounding sees the rest */
        uint32_t u;
        memcpy(&u, &f, 4);
        if ((u & 1u) == 0) {
            if ((back > d) == (d > 0))
                u -= 1;
            else
                u |= 1u;
            memcpy(&f, &u, 4);
        }
    }
    return gt_f32_to_bf16(f);
}

float gt_f16_to_f32(uint16_t h); /* exact */
uint16_t gt_f32_to_f16(float f); /* nearest even */

#endif
