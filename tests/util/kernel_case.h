/* kernel_case.h - what kernel tests share: typed buffers, an exec with threads and scratch, the tables to test, and a
 * group run over every instruction-set path this machine has. */
#ifndef GT_KERNEL_CASE_H
#define GT_KERNEL_CASE_H

#include "table.h"

#include <math.h>

/* n values of one dtype (GT_F32, GT_BF16, GT_F64, also GT_F16 for weights) with 64 guard bytes behind them. Freed by
 * buf_free_all: a test frees nothing. */
typedef struct {
    gt_dtype type;
    size_t n;
    void *p;
} buf;

buf buf_new(gt_dtype type, size_t n);                                 /* zeros */
buf buf_random(gt_dtype type, size_t n, uint64_t seed, double scale); /* rounded uniform in +-scale */
buf buf_copy(buf b);
double buf_get(buf b, size_t i);
void buf_set(buf b, size_t i, double v); /* rounds */
void buf_free_all(void);                 /* fails the test when a guard was overwritten */

/* Fails unless |got - want| <= absolute + relative * |want| for every element, naming the worst. The buffers may be of
 * different dtypes. */
void buf_close(buf got, buf want, double relative, double absolute);
void buf_equal(buf got, buf want); /* bit for bit, same dtype */

/* Fails unless |got - want| <= absolute (a NaN fails). */
#define assert_close(got, want, absolute)                                                                              \
    do {                                                                                                               \
        double got_ = (got), want_ = (want);                                                                           \
        if (!(fabs(got_ - want_) <= (absolute))) fail_msg("%s is %.12g, expected %.12g", #got, got_, want_);           \
    } while (0)

/* An exec with `threads` workers and scratch for anything a test asks. Freed by buf_free_all. */
gt_exec *exec_new(int threads);

/* The distance of neighbours at 1: at most this relative to any value. */
double ulp_of(gt_dtype type);

/* The tables under test: ref and cpu for GT_F32 and GT_BF16 (cpu by the path in use), then ref for GT_F64. */
enum { TABLES = 5, FAST_TABLES = 2 };
const gt_kernels *table_under_test(int i);
/* The cpu table i (0: F32, 1: BF16) and its ref. */
const gt_kernels *fast_table(int i, const gt_kernels **ref);

/* Runs a cmocka group once for every path from the best of this machine down to plain C; returns the failures. */
int run_group_on_every_path(const char *name, const struct CMUnitTest *tests, size_t count);
#define run_on_every_path(tests) run_group_on_every_path(#tests, (tests), sizeof(tests) / sizeof *(tests))

/* d(loss)/d(x[i]) by central differences with step h, where loss() recomputes from x (GT_F64). */
double difference_at(buf x, size_t i, double h, double (*loss)(void *), void *context);

#endif
