/* cpu_path.h - which instructions the `cpu` table uses. Chosen once from what the processor has, lowered by the
 * environment variable GT_CPU_PATH (one of the names below) or by gt_cpu_path_lower, never raised: ranks on unlike
 * machines agree on the lowest common path, because the path is part of the numerics. */
#ifndef GT_CPU_PATH_H
#define GT_CPU_PATH_H

#include "status.h"

/* Ascending: each has all that the ones before it have. */
typedef enum {
    GT_PATH_PLAIN,       /* "plain": C in what every x86-64 has */
    GT_PATH_AVX2,        /* "avx2": AVX2, FMA, F16C */
    GT_PATH_AVX512,      /* "avx512_core": AVX-512 F, BW, VL, DQ */
    GT_PATH_AVX512_BF16, /* "avx512_core_bf16": and AVX512_BF16 */
    GT_PATH_AMX          /* "avx512_core_amx": and AMX tiles for bf16 */
} gt_cpu_path;

/* The path in use. The first call looks at the processor and at GT_CPU_PATH. Any thread. */
gt_cpu_path gt_cpu_path_current(void);

/* Lowers the path in use to `path` if that is below it. Not while a kernel runs; before the first product, because
 * oneDNN settles on an instruction set at its first use. */
void gt_cpu_path_lower(gt_cpu_path path);

/* "avx512_core_bf16" ...: oneDNN's names, static; "?" for no gt_cpu_path. And back: GT_ERR_CONFIG names the valid ones.
 */
const char *gt_cpu_path_name(gt_cpu_path path);
gt_status gt_cpu_path_parse(gt_cpu_path *out, const char *name);

#endif
