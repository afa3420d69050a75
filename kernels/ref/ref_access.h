/* ref_access.h - how the reference kernels touch memory: every value is read into double and rounded once when it is
 * stored, whatever the dtype. Slow on purpose: the formula is all that stands in a <family>_ref.c. */
#ifndef GT_REF_ACCESS_H
#define GT_REF_ACCESS_H

#include "dtype.h"

#include <stddef.h>

/* The three compute dtypes of the reference table: M(suffix, dtype). */
#define GT_REF_EACH(M)                                                                                                 \
    M(f32, GT_F32)                                                                                                     \
    M(bf16, GT_BF16)                                                                                                   \
    M(f64, GT_F64)

/* Element i of p; t is GT_F32, GT_BF16 or GT_F64. */
static inline double gt_ref_get(gt_dtype t, const void *p, ptrdiff_t i)
{
    if (t == GT_BF16) return (double)gt_bf16_to_f32(((const uint16_t *)p)[i]);
    if (t == GT_F32) return (double)((const float *)p)[i];
    return ((const double *)p)[i];
}

static inline void gt_ref_put(gt_dtype t, void *p, ptrdiff_t i, double v)
{
    if (t == GT_BF16)
        ((uint16_t *)p)[i] = gt_f64_to_bf16(v);
    else if (t == GT_F32)
        ((float *)p)[i] = (float)v;
    else
        ((double *)p)[i] = v;
}

/* An intermediate the bf16 reference stores and reads back: rounded in GT_BF16 only. In GT_F32 and GT_F64 nothing but
 * what goes to memory is rounded. */
static inline double gt_ref_round(gt_dtype act, double v)
{
    return act == GT_BF16 ? (double)gt_bf16_to_f32(gt_f64_to_bf16(v)) : v;
}

/* What storing v to t and reading it back gives. */
static inline double gt_ref_stored(gt_dtype t, double v)
{
    return t == GT_F32 ? (double)(float)v : gt_ref_round(t, v);
}

static inline size_t gt_ref_size(gt_dtype t)
{
    return t == GT_BF16 ? 2 : t == GT_F32 ? 4 : 8;
}

static inline const void *gt_ref_at(gt_dtype t, const void *p, ptrdiff_t i)
{
    return (const char *)p + i * (ptrdiff_t)gt_ref_size(t);
}

#endif
