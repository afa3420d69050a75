/* matmul_cpu.h - scratch of the cpu products; the products themselves are in matmul.h. */
#ifndef GT_MATMUL_CPU_H
#define GT_MATMUL_CPU_H

#include "matmul.h"

/* Bytes a worker needs for any gt_gemm_cpu_*. */
size_t gt_gemm_cpu_scratch(void);

#endif
