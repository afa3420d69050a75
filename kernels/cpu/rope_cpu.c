/* Tokens to threads; the loops are rope_rows.h. Floor: each head read once and written once (backward: dy too). */
#include "cpu_kernels.h"
#include "row_loops.h"
#include "spread.h"

typedef struct {
    void (*loop)(const gt_rope_row *r);
    size_t bytes;      /* of an element */
    gt_rope_row first; /* out, dy, in: token 0's; cos, sin: position 0's; each token takes its own */
    ptrdiff_t out_stride, dy_stride, in_stride;
    const int32_t *pos;
} job;

static void token_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    const ptrdiff_t bytes = (ptrdiff_t)j->bytes, half = j->first.d / 2;
    for (ptrdiff_t t = (ptrdiff_t)begin; t < (ptrdiff_t)end; t++) {
        gt_rope_row r = j->first;
        r.out = (char *)r.out + t * j->out_stride * bytes;
        r.in = (const char *)r.in + t * j->in_stride * bytes;
        if (r.dy) r.dy = (const char *)r.dy + t * j->dy_stride * bytes;
        r.cos += j->pos[t] * half;
        r.sin += j->pos[t] * half;
        j->loop(&r);
    }
}

static gt_status run(gt_exec *x, const job *j, int n)
{
    GT_TRY(gt_norm_rope_check(j->first.d));
    gt_spread(x, (size_t)n, gt_spread_rows(j->first.heads * j->first.d), token_range, j);
    return GT_OK;
}

/* act_index: of gt_rows. */
static gt_status norm_rope(int act_index, gt_exec *x, void *y, ptrdiff_t y_stride, const void *in, ptrdiff_t in_stride,
                           const float *g, const float *cos, const float *sin, const int32_t *pos, int n, int heads,
                           int d, float eps)
{
    const job j = {.loop = gt_rows_current()->rope[act_index],
                   .bytes = act_index ? 2 : 4,
                   .first = {.out = y, .in = in, .g = g, .cos = cos, .sin = sin, .heads = heads, .d = d, .eps = eps},
                   .out_stride = y_stride,
                   .in_stride = in_stride,
                   .pos = pos};
    return run(x, &j, n);
}

static gt_status norm_rope_bwd(int act_index, gt_exec *x, void *d_in, ptrdiff_t d_in_stride, const void *dy,
                               ptrdiff_t dy_stride, const void *in, ptrdiff_t in_stride, const float *g,
                               const float *cos, const float *sin, const int32_t *pos, int n, int heads, int d,
                               float eps)
{
    const job j = {.loop = gt_rows_current()->rope_bwd[act_index],
                   .bytes = act_index ? 2 : 4,
                   .first = {d_in, dy, in, g, cos, sin, heads, d, eps},
                   .out_stride = d_in_stride,
                   .dy_stride = dy_stride,
                   .in_stride = in_stride,
                   .pos = pos};
    return run(x, &j, n);
}

gt_status gt_norm_rope_cpu_f32(gt_exec *x, void *y, ptrdiff_t y_stride, const void *in, ptrdiff_t in_stride,
                               const float *g, const float *cos, const float *sin, const int32_t *pos, int n, int heads,
                               int d, float eps)
{
    return norm_rope(0, x, y, y_stride, in, in_stride, g, cos, sin, pos, n, heads, d, eps);
}

gt_status gt_norm_rope_cpu_bf16(gt_exec *x, void *y, ptrdiff_t y_stride, const void *in, ptrdiff_t in_stride,
                                const float *g, const float *cos, const float *sin, const int32_t *pos, int n,
                                int heads, int d, float eps)
{
    return norm_rope(1, x, y, y_stride, in, in_stride, g, cos, sin, pos, n, heads, d, eps);
}

gt_status gt_norm_rope_bwd_cpu_f32(gt_exec *x, void *d_in, ptrdiff_t d_in_stride, const void *dy, ptrdiff_t dy_stride,
                                   const void *in, ptrdiff_t in_stride, const float *g, const float *cos,
                                   const float *sin, const int32_t *pos, int n, int heads, int d, float eps)
{
    return norm_rope_bwd(0, x, d_in, d_in_stride, dy, dy_stride, in, in_stride, g, cos, sin, pos, n, heads, d, eps);
}

gt_status gt_norm_rope_bwd_cpu_bf16(gt_exec *x, void *d_in, ptrdiff_t d_in_stride, const void *dy, ptrdiff_t dy_stride,
                                    const void *in, ptrdiff_t in_stride, const float *g, const float *cos,
                                    const float *sin, const int32_t *pos, int n, int heads, int d, float eps)
{
    return norm_rope_bwd(1, x, d_in, d_in_stride, dy, dy_stride, in, in_stride, g, cos, sin, pos, n, heads, d, eps);
}
