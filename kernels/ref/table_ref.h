/* table_ref.h - the backend `ref`: plain C, double accumulation; the arbiter that every other backend
 * answers to. F32, BF16 and, for finite differences, F64. */
#ifndef GT_TABLE_REF_H
#define GT_TABLE_REF_H

#include "table.h"

extern const gt_backend_filling gt_backend_ref;

#endif
