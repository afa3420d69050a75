/* base_dtype.h - reading a base in another precision than it is stored in. */
#ifndef GT_BASE_DTYPE_H
#define GT_BASE_DTYPE_H

#include "weights.h"

/* --base-dtype bf16: every value is rounded to bfloat16 when it is read (matrices as they are decoded, norm factors as
 * 1 + bf16(w) now): the function that a bfloat16 export of this base computes. Matrices in bf16 and NF4 stay as they
 * are. */
void gt_weights_round_to_bf16(gt_weights *w);

#endif
