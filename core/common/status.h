/* status.h - one result convention for the whole program: a code is returned, the words go into one record per thread.
 *
 * A function that can fail returns gt_status. On failure its outputs are untouched unless its comment says otherwise.
 * Nothing below launch/ prints or exits: launch/ prints gt_error_last() and turns the code into an exit code. */
#ifndef GT_STATUS_H
#define GT_STATUS_H

#include <stdbool.h>

typedef enum {
    GT_OK = 0,
    GT_ERR_INTERRUPTED = 1, /* a signal asked us to stop; not a fault. Lowest, so a real fault outranks it */
    GT_ERR_USAGE = 2,       /* a wrong command line                                   exit 64 */
    GT_ERR_DATA = 3,        /* a file's contents are wrong: rows, weights, checkpoint  exit 65 */
    GT_ERR_CONFIG = 4,      /* a recipe, or a recipe against a run, is wrong           exit 78 */
    GT_ERR_IO = 5,          /* the operating system refused a file                     exit 74 */
    GT_ERR_NOMEM = 6,       /* memory could not be had                                 exit 75 */
    GT_ERR_LOST = 7,        /* a rank is gone or does not answer: try again            exit 75 */
    GT_ERR_DEVICE = 8,      /* a device or a compute library failed                    exit 70 */
    GT_ERR_ARG = 9,         /* the caller broke a function's contract                  exit 70 */
    GT_ERR_INTERNAL = 10    /* an invariant of ours does not hold                      exit 70 */
} gt_status;

typedef struct {
    gt_status code;
    char message[1024];
    const char *file;
    int line;
    bool elsewhere; /* another rank failed, and its record has the reason: this one only says why we stopped as well */
} gt_error;

/* The record of the calling thread's latest failure; never NULL. Valid until the thread fails again. */
const gt_error *gt_error_last(void);

/* Puts "text: " before the message of the latest failure (all else of it stays) and returns its code: for callers
 * that know which file or row the failing callee was about. */
gt_status gt_error_prefix(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Makes a record that was copied earlier (before clean-up that may fail itself, or on another thread) the calling
 * thread's latest, under that code; returns the code. */
gt_status gt_error_restore(const gt_error *e, gt_status code);

/* The process exit code of a status, as in the table above. GT_ERR_INTERRUPTED gives 75; launch/ overrides it. */
int gt_status_exit_code(gt_status code);

/* Not for direct use: see GT_FAIL. */
gt_status gt_fail_(gt_status code, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Fills the thread's record and returns code. A message names the thing, the value, what was expected, the remedy. */
#define GT_FAIL(code, ...) GT_FAILED_(gt_fail_((code), __FILE__, __LINE__, __VA_ARGS__))

/* Clang's analyzer reads one file at a time; without this it would follow failures that return GT_OK. An assumption is
 * no branch: so it also looks into a function that only words a failure, however deep in the calls. */
#ifdef __clang_analyzer__
#define GT_FAILED_(code)                                                                                               \
    ({                                                                                                                 \
        const gt_status gt_failed_ = (code);                                                                           \
        __builtin_assume(gt_failed_ != GT_OK);                                                                         \
        gt_failed_;                                                                                                    \
    })
#else
#define GT_FAILED_(code) (code)
#endif

/* Returns from the calling function if call failed. */
#define GT_TRY(call)                                                                                                   \
    do {                                                                                                               \
        gt_status gt_try_ = (call);                                                                                    \
        if (gt_try_ != GT_OK) return gt_try_;                                                                          \
    } while (0)

/* As GT_TRY for functions with something to release: stores the status in `st` and jumps to label `done`. */
#define GT_TRY_TO(st, call, done)                                                                                      \
    do {                                                                                                               \
        (st) = (call);                                                                                                 \
        if ((st) != GT_OK) goto done;                                                                                  \
    } while (0)

#endif
