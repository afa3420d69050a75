/* rope.h - per head: RMSNorm over d, then the rotation by position (docs/model/gemma3.md sections 2.2 and 2.3).
 *   n = round(norm(in; g));  h = d/2, c = cos[pos, j], s = sin[pos, j], j < h
 *   y[j]     = round(round(n[j] c)     + round(-n[j + h] s))
 *   y[j + h] = round(round(n[j + h] c) + round( n[j] s))        inner roundings in GT_BF16 only
 * Backward, in at least float32 and rounded once (docs/model/backward.md section 1.7):
 *   dn[j] = dy[j] c + dy[j + h] s;  dn[j + h] = dy[j + h] c - dy[j] s;  d_in = norm backward(dn) at in
 * in, y, dy, d_in: [n, heads, d] act, heads contiguous, strides between tokens in elements; cos, sin: [positions, d/2]
 * f32, already rounded to act's precision; pos [n] below positions. y may be in, d_in may be dy (same stride then).
 * GT_ERR_ARG: d is odd. */
#ifndef GT_ROPE_H
#define GT_ROPE_H

#include "exec.h"

#include <stddef.h>
#include <stdint.h>

typedef gt_status gt_norm_rope_fn(gt_exec *x, void *y, ptrdiff_t y_stride, const void *in, ptrdiff_t in_stride,
                                  const float *g, const float *cos, const float *sin, const int32_t *pos, int n,
                                  int heads, int d, float eps);
typedef gt_status gt_norm_rope_bwd_fn(gt_exec *x, void *d_in, ptrdiff_t d_in_stride, const void *dy,
                                      ptrdiff_t dy_stride, const void *in, ptrdiff_t in_stride, const float *g,
                                      const float *cos, const float *sin, const int32_t *pos, int n, int heads, int d,
                                      float eps);

/* GT_ERR_ARG unless d, a head's width, is even and positive. */
gt_status gt_norm_rope_check(int d);

#endif
