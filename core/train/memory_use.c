#include "memory_use.h"

#include <stdio.h>
#include <unistd.h>

gt_memory_use gt_memory_use_now(void)
{
    gt_memory_use use = {0, 0};
    char line[160];
    unsigned long pages, kib;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%*u %lu", &pages) == 1) use.rss = (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
        fclose(f);
    }
    f = fopen("/proc/self/smaps_rollup", "re");
    if (f) {
        while (fgets(line, sizeof line, f))
            if (sscanf(line, "Pss: %lu kB", &kib) == 1) {
                use.pss = (size_t)kib * 1024;
                break;
            }
        fclose(f);
    }
    return use;
}
