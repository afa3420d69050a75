/* testing.h - what tests share: cmocka with its includes, golden files, temporary folders, tolerant comparison. */
#ifndef GT_TESTING_H
#define GT_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "status.h"

/* Fails the test with the record's words unless the call returns GT_OK. */
#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        if ((call) != GT_OK) fail_msg("%s: %s", #call, gt_error_last()->message);                                      \
    } while (0)

/* Fails unless the call returns `code` and its message contains `words`. */
#define assert_fails(call, code_, words)                                                                               \
    do {                                                                                                               \
        gt_status st_ = (call);                                                                                        \
        if (st_ != (code_)) fail_msg("%s gave %d, expected %d", #call, (int)st_, (int)(code_));                        \
        if (!strstr(gt_error_last()->message, (words)))                                                                \
            fail_msg("%s: '%s' does not say '%s'", #call, gt_error_last()->message, (words));                          \
    } while (0)

/* GT_GOLDEN_DIR/name, static buffer (a ring of 8); skips the running test with a visible reason if it is absent. */
const char *golden(const char *name);

/* A fresh folder below the system's temporary folder, removed at exit; static buffer (a ring of 8). */
const char *temp_dir(void);

/* folder/name in a static buffer (a ring of 16). */
char *path_in(const char *folder, const char *name);

/* max |got - want|, and the L2 norm of the difference over the L2 norm of want. */
double max_abs_diff(const float *got, const float *want, size_t n);
double rel_l2_diff(const float *got, const float *want, size_t n);

/* Deterministic test data: uniform in [-1, 1). */
void fill_random(float *x, size_t n, uint64_t seed);

#endif
