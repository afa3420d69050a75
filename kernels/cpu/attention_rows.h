/* attention_rows.h - what happens to a block of scores between the products of attention: scaling, mask, softmax and
 * its gradient, a row at a time. One set of functions an instruction set. */
#ifndef GT_ATTENTION_ROWS_H
#define GT_ATTENTION_ROWS_H

#include "checked.h"

#include <stdbool.h>

/* Scores of `rows` (query, head) pairs against keys first ... first + len - 1; len is a multiple of 64. Row r sees keys
 * begin[r] ... end[r] - 1. Values are float32 when wide, else bf16; round: each step's result is rounded to bf16. */
typedef struct {
    void *s; /* [rows, len] */
    int rows, len, first;
    const int *begin, *end; /* [rows] */
    bool wide, round;
    float scale;
} gt_score_block;

/* Visible columns [*lo, *hi) of row r within the block. */
static inline void gt_score_columns(const gt_score_block *b, int r, int *lo, int *hi)
{
    *lo = gt_min_int(b->len, gt_max_int(0, b->begin[r] - b->first));
    *hi = gt_max_int(*lo, gt_min_int(b->len, b->end[r] - b->first));
}

typedef struct {
    /* s = round(round(s) * scale); most[r] = max(most[r], visible s of row r). */
    void (*scale_max)(const gt_score_block *b, float *most);
    /* sum[r] += sum over visible keys of exp(s - most[r]). */
    void (*exp_sum)(const gt_score_block *b, const float *most, float *sum);
    /* s = round(exp(s - most[r]) * factor[r]) where visible, else 0. */
    void (*probability)(const gt_score_block *b, const float *most, const float *factor);
    /* From raw products s and dp [rows, len] f32:  P = exp(round(round(s) * scale) - lse[r]) where visible, else 0;
     * s = round(P);  ds = round(scale * P * (dp - delta[r])), stored as s is. */
    void (*gradient)(const gt_score_block *b, void *ds, const float *dp, const float *lse, const float *delta);
    /* sum_i a[i] b[i], float32 when wide, else bf16. */
    float (*dot)(const void *a, const void *b, bool wide, int n);
} gt_attention_rows;

extern const gt_attention_rows gt_attention_rows_plain, gt_attention_rows_avx512;

#endif
