/* norm_ref.h - the one statistic of RMSNorm, which the rotation's norm over heads takes too. */
#ifndef GT_NORM_REF_H
#define GT_NORM_REF_H

#include "dtype.h"

#include <stddef.h>

/* 1 / sqrt(mean x^2 + eps) over elements [at, at + cols) of in. */
double gt_ref_inverse_rms(gt_dtype act, const void *in, ptrdiff_t at, int cols, double eps);

#endif
