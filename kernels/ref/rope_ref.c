/* The norm's output is rounded before the rotation and each product of the rotation before the sum, because the eager
 * path stores all of them in act; backward, nothing in between is rounded. */
#include "norm_ref.h"
#include "ref_access.h"
#include "ref_kernels.h"

typedef struct {
    gt_dtype act;
    void *out;
    const void *dy, *in;
    ptrdiff_t out_stride, dy_stride, in_stride;
    const float *g, *cos, *sin;
    const int32_t *pos;
    int heads, d;
    double eps;
} job;

static void rotate_token(void *context, int token, int worker)
{
    (void)worker;
    const job *j = context;
    gt_dtype t = j->act;
    int half = j->d / 2;
    const float *cos = j->cos + (ptrdiff_t)j->pos[token] * half, *sin = j->sin + (ptrdiff_t)j->pos[token] * half;
    for (int h = 0; h < j->heads; h++) {
        ptrdiff_t at = token * j->in_stride + (ptrdiff_t)h * j->d, to = token * j->out_stride + (ptrdiff_t)h * j->d;
        double r = gt_ref_inverse_rms(t, j->in, at, j->d, j->eps);
        for (int i = 0; i < half; i++) {
            double a = gt_ref_round(t, gt_ref_get(t, j->in, at + i) * r * (double)j->g[i]);
            double b = gt_ref_round(t, gt_ref_get(t, j->in, at + half + i) * r * (double)j->g[half + i]);
            double c = cos[i], s = sin[i];
            gt_ref_put(t, j->out, to + i, gt_ref_round(t, a * c) + gt_ref_round(t, -b * s));
            gt_ref_put(t, j->out, to + half + i, gt_ref_round(t, b * c) + gt_ref_round(t, a * s));
        }
    }
}

static void rotate_token_back(void *context, int token, int worker)
{
    (void)worker;
    const job *j = context;
    gt_dtype t = j->act;
    int half = j->d / 2;
    const float *cos = j->cos + (ptrdiff_t)j->pos[token] * half, *sin = j->sin + (ptrdiff_t)j->pos[token] * half;
    for (int h = 0; h < j->heads; h++) {
        ptrdiff_t at = token * j->in_stride + (ptrdiff_t)h * j->d, to = token * j->out_stride + (ptrdiff_t)h * j->d;
        ptrdiff_t from = token * j->dy_stride + (ptrdiff_t)h * j->d;
        double r = gt_ref_inverse_rms(t, j->in, at, j->d, j->eps), mean = 0;
        for (int pass = 0; pass < 2; pass++) { /* the mean over d first, then the gradient pair by pair */
            for (int i = 0; i < half; i++) {
                double c = cos[i], s = sin[i];
                double da = gt_ref_get(t, j->dy, from + i), db = gt_ref_get(t, j->dy, from + half + i);
                double ua = (da * c + db * s) * (double)j->g[i], ub = (db * c - da * s) * (double)j->g[half + i];
                double xa = gt_ref_get(t, j->in, at + i) * r, xb = gt_ref_get(t, j->in, at + half + i) * r;
                if (pass == 0)
                    mean += ua * xa + ub * xb;
                else {
                    gt_ref_put(t, j->out, to + i, r * (ua - xa * mean));
                    gt_ref_put(t, j->out, to + half + i, r * (ub - xb * mean));
                }
            }
            if (pass == 0) mean /= j->d;
        }
    }
}

static gt_status run(gt_exec *x, const job *j, int n, gt_task task)
{
    GT_TRY(gt_norm_rope_check(j->d));
    job copy = *j;
    gt_pool_run(x->pool, n, task, &copy);
    return GT_OK;
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_norm_rope_ref_##suffix(gt_exec *x, void *y, ptrdiff_t y_stride, const void *in, ptrdiff_t in_stride,  \
                                        const float *g, const float *cos, const float *sin, const int32_t *pos, int n, \
                                        int heads, int d, float eps)                                                   \
    {                                                                                                                  \
        job j = {type, y, NULL, in, y_stride, 0, in_stride, g, cos, sin, pos, heads, d, (double)eps};                  \
        return run(x, &j, n, rotate_token);                                                                            \
    }                                                                                                                  \
    gt_status gt_norm_rope_bwd_ref_##suffix(gt_exec *x, void *d_in, ptrdiff_t d_in_stride, const void *dy,             \
                                            ptrdiff_t dy_stride, const void *in, ptrdiff_t in_stride, const float *g,  \
                                            const float *cos, const float *sin, const int32_t *pos, int n, int heads,  \
                                            int d, float eps)                                                          \
    {                                                                                                                  \
        job j = {type, d_in, dy, in, d_in_stride, dy_stride, in_stride, g, cos, sin, pos, heads, d, (double)eps};      \
        return run(x, &j, n, rotate_token_back);                                                                       \
    }
GT_REF_EACH(INSTANCE)
