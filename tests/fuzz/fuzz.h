/* fuzz.h - what fuzz targets share: the entry point, a checked invariant, input as a file. */
#ifndef GT_FUZZ_H
#define GT_FUZZ_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Crashes, so that libFuzzer keeps the input, unless the condition holds. */
#define FUZZ_CHECK(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                              \
            __builtin_trap();                                                                                          \
        }                                                                                                              \
    } while (0)

/* Writes the input to a file of this process in memory-backed storage and returns its path (a static buffer), for
 * readers that take a path. The file is reused by the next call. */
static inline const char *fuzz_file(const uint8_t *data, size_t size, const char *suffix)
{
    static char path[128];
    snprintf(path, sizeof path, "/dev/shm/gemtune-fuzz-%ld%s", (long)getpid(), suffix);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) abort();
    while (size > 0) {
        ssize_t w = write(fd, data, size);
        if (w <= 0) abort();
        data += w;
        size -= (size_t)w;
    }
    close(fd);
    return path;
}

#endif
