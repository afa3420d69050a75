/* dropout.h - counter-based inverted dropout (docs/model/lora.md section 1): whether element (row, col) is kept is a
 * pure function of row_key[row], module_key and col, so forward, recomputation and backward agree without storing a
 * mask.
 *   keep(row, col) iff gt_rng_u64(row_key[row] ^ module_key, col) >= p * 2^64
 *   y = round(keep ? in / (1 - p) : 0);   accumulate (y GT_F32 only, else GT_ERR_ARG): y += the same, unrounded before
 * p 0 copies, p >= 1 drops everything; p < 0 or NaN is GT_ERR_ARG. in_dtype, y_dtype: act or GT_F32. y may be in (same
 * dtype). */
#ifndef GT_DROPOUT_H
#define GT_DROPOUT_H

#include "dtype.h"
#include "exec.h"

#include <stdbool.h>

typedef gt_status gt_dropout_fn(gt_exec *x, void *y, gt_dtype y_dtype, bool accumulate, const void *in,
                                gt_dtype in_dtype, const uint64_t *row_key, uint64_t module_key, float p, int rows,
                                int cols);

/* Checks the arguments as above. *threshold: an element is kept iff its random number is >= it, unless *drop_all. */
gt_status gt_dropout_check(gt_dtype act, gt_dtype y_dtype, bool accumulate, gt_dtype in_dtype, float p,
                           uint64_t *threshold, bool *drop_all);

#endif
