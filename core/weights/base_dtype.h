/* base_dtype.h - the precisions that a run may ask for: in which the base is held, in which activations are. */
#ifndef GT_BASE_DTYPE_H
#define GT_BASE_DTYPE_H

#include "weights.h"

/* How the base is held: as stored, rounded to bf16, or packed to NF4. */
typedef enum { GT_BASE_NATIVE, GT_BASE_BF16, GT_BASE_NF4 } gt_base_dtype;

/* What activations are computed in. */
typedef enum { GT_COMPUTE_BF16, GT_COMPUTE_F32 } gt_compute_dtype;

static inline gt_dtype gt_compute_act(gt_compute_dtype d)
{
    return d == GT_COMPUTE_F32 ? GT_F32 : GT_BF16;
}

/* GT_BASE_BF16: every value is rounded to bfloat16 when it is read (matrices as they are decoded, norm factors as
 * 1 + bf16(w) now): the function that a bfloat16 export of this base computes. Matrices in bf16 and NF4 stay as they
 * are. */
void gt_weights_round_to_bf16(gt_weights *w);

#endif
