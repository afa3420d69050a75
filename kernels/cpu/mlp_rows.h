/* mlp_rows.h - the gated activation over a run of elements; included by rows_<path>.c. With u = k0 (z + k1 z^3) and
 * s = 1 / (1 + exp(-2u)), tanh(u) = 2s - 1, hence without cancellation
 *   gelu(z) = z s;   gelu'(z) = s + 2 z s (1 - s) u',   1 - s = exp(-2u) s
 * to a few float32 ulp of the value. Beyond |z| = 9.8 the exponential stays at its value there: s is 1 to float32, and
 * 1e-36 (gelu -9e-36) on the other side. */
#ifndef GT_MLP_ROWS_H
#define GT_MLP_ROWS_H

#include "lanes.h"

typedef struct {
    vfloat value, slope;
} gelu_pair;

LANES_INLINE gelu_pair gelu_at(vfloat z)
{
    const float k0 = 0.79788456f, k1 = 0.044715f;
    vfloat low = v_max(v_set(-9.8f), z), inside = v_min(v_set(9.8f), low), square = inside * inside;
    vfloat e = v_exp(-2.0f * k0 * inside * v_fma(square, v_set(k1), v_set(1.0f)));
    vfloat s = 1.0f / (1.0f + e);
    gelu_pair g;
    g.value = low * s;
    g.slope = v_fma(2.0f * k0 * inside * v_fma(square, v_set(3.0f * k1), v_set(1.0f)), (e * s) * s, s);
    return g;
}

LANES_INLINE void geglu_run(gt_dtype t, void *h, const void *gate, const void *up, size_t n)
{
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i += LANES) {
        ptrdiff_t left = (ptrdiff_t)n - i;
        vfloat activated = v_round(t, gelu_at(v_load_left(t, gate, i, left)).value);
        v_store_left(t, h, i, left, activated * v_load_left(t, up, i, left));
    }
}

LANES_INLINE void geglu_bwd_run(gt_dtype t, void *dgate, void *dup, const void *dh, const void *gate, const void *up,
                                size_t n)
{
    for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i += LANES) {
        ptrdiff_t left = (ptrdiff_t)n - i;
        vfloat d = v_load_left(t, dh, i, left), u = v_load_left(t, up, i, left);
        gelu_pair g = gelu_at(v_load_left(t, gate, i, left));
        v_store_left(t, dgate, i, left, d * u * g.slope);
        v_store_left(t, dup, i, left, d * v_round(t, g.value));
    }
}

#define MLP_ROWS(suffix, type)                                                                                         \
    static void geglu_##suffix(void *h, const void *gate, const void *up, size_t n)                                    \
    {                                                                                                                  \
        geglu_run(type, h, gate, up, n);                                                                               \
    }                                                                                                                  \
    static void geglu_bwd_##suffix(void *dgate, void *dup, const void *dh, const void *gate, const void *up, size_t n) \
    {                                                                                                                  \
        geglu_bwd_run(type, dgate, dup, dh, gate, up, n);                                                              \
    }
MLP_ROWS(f32, GT_F32)
MLP_ROWS(bf16, GT_BF16)

#endif
