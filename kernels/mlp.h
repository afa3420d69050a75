/* mlp.h - the gated activation (docs/model/gemma3.md section 2.6, docs/model/backward.md section 1.5), element by
 * element, act.
 *   gelu(z) = z/2 (1 + tanh(k0 (z + k1 z^3))),  k0 = sqrt(2/pi), k1 = 0.044715
 *   h = round(round(gelu(gate)) * up)           the inner rounding in GT_BF16 only
 *   dup = round(dh * round(gelu(gate)));   dgate = round(dh * up * gelu'(gate))
 * In place: dgate may be gate, dup may be up, h may be gate or up. */
#ifndef GT_MLP_H
#define GT_MLP_H

#include "exec.h"

typedef gt_status gt_geglu_fn(gt_exec *x, void *h, const void *gate, const void *up, size_t count);
typedef gt_status gt_geglu_bwd_fn(gt_exec *x, void *dgate, void *dup, const void *dh, const void *gate, const void *up,
                                  size_t count);

#endif
