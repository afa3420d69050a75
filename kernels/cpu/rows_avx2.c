/* The loops of rows_table.h with AVX2, FMA and F16C; see rows_plain.c. */
#include "rows_table.h"

const gt_rows gt_rows_avx2 = GT_ROWS_TABLE;
