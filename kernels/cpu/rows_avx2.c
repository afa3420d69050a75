#include "rows_table.h"

const gt_rows gt_rows_avx2 = GT_ROWS_TABLE;
