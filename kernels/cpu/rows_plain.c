/* The loops of rows_table.h in what every x86-64 has, SSE2. A rows_<path>.c holds nothing but its name: the
 * instructions come from its compile options (CMakeLists.txt), so nothing in it may run before the path is known. */
#include "rows_table.h"

const gt_rows gt_rows_plain = GT_ROWS_TABLE;
