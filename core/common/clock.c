#include "clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double seconds(clockid_t id)
{
    struct timespec t;
    return clock_gettime(id, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : NAN;
}

double gt_clock(void)
{
    return seconds(CLOCK_MONOTONIC);
}

/* Field 22 of /proc/self/stat is the start, in clock ticks since the machine's; field 2, the program's name, may hold
 * blanks and brackets of its own. */
double gt_process_age(void)
{
    char text[1024];
    FILE *f = fopen("/proc/self/stat", "r");
    if (!f) return NAN;
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
    if (!p) return NAN;
    return seconds(CLOCK_BOOTTIME) - (double)strtoull(p, NULL, 10) / (double)sysconf(_SC_CLK_TCK);
}
