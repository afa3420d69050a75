#include "rows_table.h"

const gt_rows gt_rows_avx512 = GT_ROWS_TABLE;
