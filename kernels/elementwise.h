/* elementwise.h - copies between dtypes and between rows.
 *   cast:         y[i] = round(in[i]), each of act or GT_F32; y may be in when the dtypes are equal
 *   gather_rows:  y[i, :] = in[row[i], :], act; rows are the caller's to keep inside `in`
 *   scatter_rows: dst[row[i], :] += src[i, :], f32; the rows named must differ; GT_ERR_ARG: a row outside dst_rows */
#ifndef GT_ELEMENTWISE_H
#define GT_ELEMENTWISE_H

#include "dtype.h"
#include "exec.h"

typedef gt_status gt_cast_fn(gt_exec *x, void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype, size_t count);
gt_cast_fn gt_cast_ref_f32, gt_cast_ref_bf16, gt_cast_ref_f64;
gt_cast_fn gt_cast_cpu_f32, gt_cast_cpu_bf16;

typedef gt_status gt_gather_rows_fn(gt_exec *x, void *y, const void *in, const int32_t *row, int n, int cols);
gt_gather_rows_fn gt_gather_rows_ref_f32, gt_gather_rows_ref_bf16, gt_gather_rows_ref_f64;
gt_gather_rows_fn gt_gather_rows_cpu_f32, gt_gather_rows_cpu_bf16;

/* The same for rows of row_bytes each, of any dtype. GT_ERR_ARG: a negative row. */
gt_status gt_gather_bytes(gt_exec *x, void *y, const void *in, const int32_t *row, int n, size_t row_bytes);

/* One for all tables: one float32 sum an element has only one value. */
gt_status gt_scatter_rows(gt_exec *x, float *dst, int dst_rows, const float *src, const int32_t *row, int n, int cols);

/* GT_ERR_ARG unless both are act or GT_F32. */
gt_status gt_cast_check(gt_dtype act, gt_dtype y_dtype, gt_dtype in_dtype);

#endif
