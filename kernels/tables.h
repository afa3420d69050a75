/* tables.h - the fillings of the kernel table, one function a backend. Only table.c chooses among them. */
#ifndef GT_TABLES_H
#define GT_TABLES_H

#include "table.h"

/* Static storage; NULL when the backend has no table for that dtype. */
const gt_kernels *gt_kernels_ref(gt_dtype act); /* F32, BF16, F64 */
const gt_kernels *gt_kernels_cpu(gt_dtype act); /* F32, BF16: instruction set chosen on first use */

#endif
