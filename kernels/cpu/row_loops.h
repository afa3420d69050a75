/* row_loops.h - the inner loops of the cpu table: each works on one row or run on the calling thread. One filling a
 * instruction-set path, compiled from the same *_rows.h; the <family>_cpu.c hand rows to threads. Indices [2]: 0 for
 * act GT_F32, 1 for GT_BF16. Formulas stand in <family>.h. */
#ifndef GT_ROW_LOOPS_H
#define GT_ROW_LOOPS_H

#include "matrix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One token's heads; cos and sin are those of its position. */
typedef struct {
    void *out;
    const void *dy; /* backward only */
    const void *in;
    const float *g, *cos, *sin;
    int heads, d;
    float eps;
} gt_rope_row;

typedef struct {
    void *y;
    const void *in;
    gt_dtype y_dtype, in_dtype;
    bool accumulate;
    uint64_t key, threshold;
    float factor; /* 1 / (1 - p) */
    int cols;
} gt_dropout_row;

typedef struct {
    float clip, decay, beta1, one_minus_beta1, beta2, one_minus_beta2, root_bc2, eps,
        step; /* decay = lr wd, step = lr / bc1 */
} gt_adamw_factors;

typedef struct {
    /* residual NULL: nothing is added */
    void (*norm[2])(void *out, const void *residual, const void *in, const float *g, int cols, float eps);
    void (*norm_bwd[2])(void *dx, gt_dtype dx_dtype, bool accumulate, const void *dy, gt_dtype dy_dtype, const void *in,
                        const float *g, int cols, float eps);
    void (*rope[2])(const gt_rope_row *r);
    void (*rope_bwd[2])(const gt_rope_row *r);
    void (*geglu[2])(void *h, const void *gate, const void *up, size_t n);
    void (*geglu_bwd[2])(void *dgate, void *dup, const void *dh, const void *gate, const void *up, size_t n);
    void (*dropout)(const gt_dropout_row *r);
    void (*cast)(void *y, gt_dtype y_dtype, const void *in, gt_dtype in_dtype, size_t n);
    void (*scale[2])(void *y, float factor, size_t n); /* y = round(y * factor) */
    void (*add)(float *y, const float *x, size_t n);   /* y += x */
    /* out [count] act = elements [first, first + count) of m; whole blocks of GGUF formats */
    void (*decode[2])(void *out, const gt_matrix *m, size_t first, size_t count);
    void (*adamw)(float *p, float *m, float *v, const float *g, size_t n, const gt_adamw_factors *f);
    bool (*fix_add)(int64_t *sum, const float *g, size_t n, double unit); /* true: something was bad */
    void (*fix_get)(float *g, const int64_t *sum, size_t n, double scale);
    double (*sum_squares)(const float *g, size_t n); /* one part, as reduce.h orders it */
} gt_rows;

/* The filling for the path in use. */
const gt_rows *gt_rows_current(void);

extern const gt_rows gt_rows_plain, gt_rows_avx2, gt_rows_avx512, gt_rows_avx512bf16;

#endif
