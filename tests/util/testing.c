#include "testing.h"

#include "backends.h"
#include "fs.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every test is a program of its own: it has all backends. tests/CMakeLists.txt links this into each by name. */
__attribute__((constructor)) void gt_testing_begin(void)
{
    gt_backends_offer();
}

static char *next_buffer(void)
{
    static char ring[8][1024];
    static int turn;
    return ring[turn++ % 8];
}

const char *golden(const char *name)
{
    char *path = next_buffer();
    snprintf(path, 1024, "%s/%s", GT_GOLDEN_DIR, name);
    if (access(path, R_OK) != 0) {
        print_message("SKIP: %s is absent\n", path);
        skip();
    }
    return path;
}

static char made[256][64];
static int made_count;

static void remove_made(void)
{
    for (int i = 0; i < made_count; i++) gt_fs_remove_tree(made[i]);
}

const char *temp_dir(void)
{
    if (made_count == 256) fail_msg("too many temporary folders");
    if (made_count == 0) atexit(remove_made);
    char *dir = made[made_count];
    snprintf(dir, sizeof made[0], "/tmp/gemtune-test-XXXXXX");
    if (!mkdtemp(dir)) fail_msg("mkdtemp failed");
    made_count++;
    char *path = next_buffer();
    snprintf(path, 1024, "%s", dir);
    return path;
}

char *path_in(const char *folder, const char *name)
{
    static char ring[16][1024];
    static int turn;
    char *path = ring[turn++ % 16], whole[sizeof ring[0]]; /* folder may lie in the ring */
    if (snprintf(whole, sizeof whole, "%s/%s", folder, name) >= (int)sizeof whole) fail_msg("path too long");
    return memcpy(path, whole, sizeof whole);
}

double max_abs_diff(const float *got, const float *want, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst)) worst = d; /* a NaN sticks */
    }
    return worst;
}

double rel_l2_diff(const float *got, const float *want, size_t n)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        diff += d * d;
        norm += (double)want[i] * (double)want[i];
    }
    return norm > 0 ? sqrt(diff / norm) : sqrt(diff);
}

void fill_random(float *x, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)(2.0 * gt_rng_uniform(seed, i) - 1.0);
}
