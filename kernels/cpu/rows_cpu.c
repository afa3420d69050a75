/* Which loops the path in use has. AMX adds nothing for rows: it takes those of AVX512_BF16. */
#include "cpu_path.h"
#include "row_loops.h"

const gt_rows *gt_rows_current(void)
{
    gt_cpu_path path = gt_cpu_path_current();
    if (path >= GT_PATH_AVX512_BF16) return &gt_rows_avx512bf16;
    if (path == GT_PATH_AVX512) return &gt_rows_avx512;
    return path == GT_PATH_AVX2 ? &gt_rows_avx2 : &gt_rows_plain;
}
