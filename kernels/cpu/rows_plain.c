#include "rows_table.h"

const gt_rows gt_rows_plain = GT_ROWS_TABLE;
