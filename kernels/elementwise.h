/* elementwise.h - copies between dtypes and between rows.
 *   cast:         y[i] = round(in[i]), each of act or GT_F32; y may be in when the dtypes are equal
 *   gather_rows:  y[i, :] = in[row[i], :], act; rows are the caller's to keep inside `in`; GT_ERR_ARG: a row below 0
 *   scatter_rows: dst[row[i], :] += src[i, :], f32; the rows named must differ; GT_ERR_ARG: a row outside dst_rows */
#ifndef GT_ELEMENTWISE_H
#define GT_ELEMENTWISE_H

#include "dtype.h"
#include "exec.h"

typedef gt_status gt_cast_fn(gt_exec *x, void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype, size_t count);
typedef gt_status gt_gather_rows_fn(gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols);
typedef gt_status gt_scatter_rows_fn(gt_exec *x, float *dst, int dst_rows, const float *src, const int32_t *row, int n,
                                     int cols);

/* GT_ERR_ARG unless both are act or GT_F32. */
gt_status gt_cast_check(gt_dtype act, gt_dtype y_dtype, gt_dtype in_dtype);

/* GT_ERR_ARG naming the first row that is negative, and the first outside [0, dst_rows). */
gt_status gt_gather_check(const int32_t *row, int n);
gt_status gt_scatter_check(const int32_t *row, int n, int dst_rows);

#endif
