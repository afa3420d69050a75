/* rope_rows.h - RMSNorm and rotation of one token's heads, and back; included by rows_<path>.c. A head is at most a few
 * hundred elements: it stays in the first cache, and the two halves of a pair are read before either is written. */
#ifndef GT_ROPE_ROWS_H
#define GT_ROPE_ROWS_H

#include "norm_rows.h"
#include "row_loops.h"

LANES_INLINE void rope_row(gt_dtype t, const gt_rope_row *row)
{
    ptrdiff_t half = row->d / 2;
    for (int h = 0; h < row->heads; h++) {
        const char *in = (const char *)row->in + (ptrdiff_t)h * row->d * (t == GT_BF16 ? 2 : 4);
        char *out = (char *)row->out + (ptrdiff_t)h * row->d * (t == GT_BF16 ? 2 : 4);
        float r = inverse_rms(t, in, row->d, row->eps);
        for (ptrdiff_t i = 0; i < half; i += LANES) {
            ptrdiff_t left = half - i;
            vfloat c = v_load_left(GT_F32, row->cos, i, left), s = v_load_left(GT_F32, row->sin, i, left);
            vfloat a = v_load_left(t, in, i, left) * r * v_load_left(GT_F32, row->g, i, left);
            vfloat b = v_load_left(t, in, half + i, left) * r * v_load_left(GT_F32, row->g, half + i, left);
            a = v_round(t, a);
            b = v_round(t, b);
            vfloat low = v_round(t, a * c) - v_round(t, b * s), high = v_round(t, b * c) + v_round(t, a * s);
            v_store_left(t, out, i, left, low);
            v_store_left(t, out, half + i, left, high);
        }
    }
}

LANES_INLINE void rope_bwd_row(gt_dtype t, const gt_rope_row *row)
{
    ptrdiff_t half = row->d / 2;
    for (int h = 0; h < row->heads; h++) {
        ptrdiff_t at = (ptrdiff_t)h * row->d * (t == GT_BF16 ? 2 : 4);
        const char *in = (const char *)row->in + at, *dy = (const char *)row->dy + at;
        char *out = (char *)row->out + at;
        float r = inverse_rms(t, in, row->d, row->eps), mean = 0;
        for (int pass = 0; pass < 2; pass++) { /* the mean over d first, then the gradient pair by pair */
            vfloat dots = {0};
            for (ptrdiff_t i = 0; i < half; i += LANES) {
                ptrdiff_t left = half - i;
                vfloat c = v_load_left(GT_F32, row->cos, i, left), s = v_load_left(GT_F32, row->sin, i, left);
                vfloat da = v_load_left(t, dy, i, left), db = v_load_left(t, dy, half + i, left);
                vfloat ua = (da * c + db * s) * v_load_left(GT_F32, row->g, i, left);
                vfloat ub = (db * c - da * s) * v_load_left(GT_F32, row->g, half + i, left);
                vfloat xa = v_load_left(t, in, i, left) * r, xb = v_load_left(t, in, half + i, left) * r;
                if (pass == 0)
                    dots += ua * xa + ub * xb;
                else {
                    v_store_left(t, out, i, left, r * (ua - xa * mean));
                    v_store_left(t, out, half + i, left, r * (ub - xb * mean));
                }
            }
            if (pass == 0) mean = v_sum(dots) / (float)row->d;
        }
    }
}

static void rope_f32(const gt_rope_row *r)
{
    rope_row(GT_F32, r);
}
static void rope_bf16(const gt_rope_row *r)
{
    rope_row(GT_BF16, r);
}
static void rope_bwd_f32(const gt_rope_row *r)
{
    rope_bwd_row(GT_F32, r);
}
static void rope_bwd_bf16(const gt_rope_row *r)
{
    rope_bwd_row(GT_BF16, r);
}

#endif
