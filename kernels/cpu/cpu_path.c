#include "cpu_path.h"

#include "log.h"

#include <cpuid.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const names[] = {"plain", "avx2", "avx512_core", "avx512_core_bf16", "avx512_core_amx"};
enum { PATHS = sizeof names / sizeof *names };

/* Tiles may be used only after the kernel has granted their 8 KiB of state (arch_prctl, Linux 5.16). */
static bool amx_granted(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static gt_cpu_path detect(void)
{
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return GT_PATH_PLAIN;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_F16C)) return GT_PATH_PLAIN;
    if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")))
        return GT_PATH_AVX2;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & 1u << 5)) return GT_PATH_AVX512; /* AVX512_BF16 */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return GT_PATH_AVX512_BF16;
    bool tiles = (d & 1u << 24) && (d & 1u << 22); /* AMX-TILE, AMX-BF16 */
    return tiles && amx_granted() ? GT_PATH_AMX : GT_PATH_AVX512_BF16;
}

static atomic_int current = -1;

gt_cpu_path gt_cpu_path_current(void)
{
    int path = atomic_load_explicit(&current, memory_order_relaxed);
    if (path >= 0) return (gt_cpu_path)path;
    gt_cpu_path best = detect(), wanted;
    const char *name = getenv("GT_CPU_PATH");
    if (name && *name) {
        if (gt_cpu_path_parse(&wanted, name) != GT_OK)
            gt_log(GT_WARN, "kernels", "GT_CPU_PATH is ignored: %s", gt_error_last()->message);
        else if (wanted < best)
            best = wanted;
    }
    int none = -1;
    atomic_compare_exchange_strong(&current, &none, (int)best); /* another thread may have been first, or lowered it */
    return (gt_cpu_path)atomic_load(&current);
}

void gt_cpu_path_lower(gt_cpu_path path)
{
    int now = (int)gt_cpu_path_current();
    while ((int)path < now && !atomic_compare_exchange_weak(&current, &now, (int)path)) continue;
}

const char *gt_cpu_path_name(gt_cpu_path path)
{
    return (int)path >= 0 && (int)path < PATHS ? names[path] : "?";
}

gt_status gt_cpu_path_parse(gt_cpu_path *out, const char *name)
{
    for (int i = 0; i < PATHS; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (gt_cpu_path)i;
            return GT_OK;
        }
    return GT_FAIL(GT_ERR_CONFIG,
                   "CPU path '%s'; expected plain, avx2, avx512_core, avx512_core_bf16 or "
                   "avx512_core_amx",
                   name);
}
