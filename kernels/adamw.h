/* adamw.h - AdamW with decoupled decay applied first (docs/model/lora.md sections 9 and 10), element by element on f32:
 *   g' = clip g;  p -= lr wd p;  m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2
 *   p -= (lr / bc1) m / (sqrt(v) / sqrt(bc2) + eps)
 * where bc1 = 1 - b1^t and bc2 = 1 - b2^t. p, m, v [n] updated in place, g [n] read. In at least float32, m, v and p
 * rounded when stored. */
#ifndef GT_ADAMW_H
#define GT_ADAMW_H

#include "exec.h"

#include <stddef.h>

typedef gt_status gt_adamw_fn(gt_exec *x, float *p, float *m, float *v, const float *g, size_t n, float clip, double lr,
                              double beta1, double beta2, double eps, double weight_decay, double bc1, double bc2);

#endif
