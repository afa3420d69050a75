/* Tokens to threads; the loops are rope_rows.h. Floor: each head read once and written once (backward: dy too). */
#include "rope.h"

#include "row_loops.h"
#include "spread.h"

typedef struct {
    void (*row)(const gt_rope_row *r);
    size_t bytes; /* of an element */
    char *out;
    const char *dy, *in;
    ptrdiff_t out_stride, dy_stride, in_stride;
    const float *g, *cos, *sin;
    const int32_t *pos;
    int heads, d;
    float eps;
} job;

static void token_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    ptrdiff_t bytes = (ptrdiff_t)j->bytes, half = j->d / 2;
    for (ptrdiff_t t = (ptrdiff_t)begin; t < (ptrdiff_t)end; t++) {
        gt_rope_row r = {.out = j->out + t * j->out_stride * bytes, .in = j->in + t * j->in_stride * bytes};
        if (j->dy) r.dy = j->dy + t * j->dy_stride * bytes;
        r.g = j->g;
        r.cos = j->cos + j->pos[t] * half;
        r.sin = j->sin + j->pos[t] * half;
        r.heads = j->heads;
        r.d = j->d;
        r.eps = j->eps;
        j->row(&r);
    }
}

static gt_status run(const gt_exec *x, const job *j, int n)
{
    if (j->d < 2 || j->d % 2 != 0) return GT_FAIL(GT_ERR_ARG, "rotation of heads of %d; expected an even width", j->d);
    gt_spread(x, (size_t)n, gt_spread_rows(j->heads * j->d), token_range, j);
    return GT_OK;
}

#define INSTANCE(suffix, index, size)                                                                                  \
    gt_status gt_norm_rope_cpu_##suffix(gt_exec *x, void *y, ptrdiff_t y_stride, const void *in, ptrdiff_t in_stride,  \
                                        const float *g, const float *cos, const float *sin, const int32_t *pos, int n, \
                                        int heads, int d, float eps)                                                   \
    {                                                                                                                  \
        job j = {gt_rows_current()->rope[index],                                                                       \
                 size,                                                                                                 \
                 y,                                                                                                    \
                 NULL,                                                                                                 \
                 in,                                                                                                   \
                 y_stride,                                                                                             \
                 0,                                                                                                    \
                 in_stride,                                                                                            \
                 g,                                                                                                    \
                 cos,                                                                                                  \
                 sin,                                                                                                  \
                 pos,                                                                                                  \
                 heads,                                                                                                \
                 d,                                                                                                    \
                 eps};                                                                                                 \
        return run(x, &j, n);                                                                                          \
    }                                                                                                                  \
    gt_status gt_norm_rope_bwd_cpu_##suffix(gt_exec *x, void *d_in, ptrdiff_t d_in_stride, const void *dy,             \
                                            ptrdiff_t dy_stride, const void *in, ptrdiff_t in_stride, const float *g,  \
                                            const float *cos, const float *sin, const int32_t *pos, int n, int heads,  \
                                            int d, float eps)                                                          \
    {                                                                                                                  \
        job j = {gt_rows_current()->rope_bwd[index],                                                                   \
                 size,                                                                                                 \
                 d_in,                                                                                                 \
                 dy,                                                                                                   \
                 in,                                                                                                   \
                 d_in_stride,                                                                                          \
                 dy_stride,                                                                                            \
                 in_stride,                                                                                            \
                 g,                                                                                                    \
                 cos,                                                                                                  \
                 sin,                                                                                                  \
                 pos,                                                                                                  \
                 heads,                                                                                                \
                 d,                                                                                                    \
                 eps};                                                                                                 \
        return run(x, &j, n);                                                                                          \
    }
INSTANCE(f32, 0, 4)
INSTANCE(bf16, 1, 2)
