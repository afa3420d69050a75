/* embed.h - token ids to the first residual stream.
 *   out[t, j] = round(round(E[id_t, j]) * multiplier)            docs/model/gemma3.md section 2.1
 * E in any storage format is first rounded to act, as the reference holds it. multiplier is sqrt(hidden), rounded to
 * bf16 by the caller where the reference does so. out [n, E.cols] act. GT_ERR_ARG, out untouched: an id outside
 * [0, E.rows), or an E that cannot be decoded. */
#ifndef GT_EMBED_H
#define GT_EMBED_H

#include "exec.h"
#include "matrix.h"

#include <stdint.h>

typedef gt_status gt_embed_fn(gt_exec *x, void *out, const gt_matrix *e, const int32_t *ids, int n, float multiplier);

/* GT_ERR_ARG as above, naming the first such id. */
gt_status gt_embed_check(const gt_matrix *e, const int32_t *ids, int n);

#endif
