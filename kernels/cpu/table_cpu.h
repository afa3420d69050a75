/* table_cpu.h - the backend `cpu`: oneDNN on fixed tiles under our own threads, and loops of our own for each
 * instruction set; F32 and BF16. Its paths are gt_cpu_path's, settled at the first use. */
#ifndef GT_TABLE_CPU_H
#define GT_TABLE_CPU_H

#include "table.h"

extern const gt_backend_filling gt_backend_cpu;

#endif
