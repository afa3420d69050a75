/* The loops of rows_table.h with AVX-512 and AVX512_BF16; see rows_plain.c. */
#include "rows_table.h"

const gt_rows gt_rows_avx512bf16 = GT_ROWS_TABLE;
