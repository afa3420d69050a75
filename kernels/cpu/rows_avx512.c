/* The loops of rows_table.h with AVX-512 F, BW, VL and DQ; see rows_plain.c. */
#include "rows_table.h"

const gt_rows gt_rows_avx512 = GT_ROWS_TABLE;
