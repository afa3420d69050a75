/* embed.h - token ids to the first residual stream.
 *   out[t, j] = round(round(E[id_t, j]) * multiplier)            docs/model/gemma3.md section 2.1
 * E in any storage format is first rounded to act, as the reference holds it. multiplier is sqrt(hidden), rounded to
 * bf16 by the caller where the reference does so. out [n, E.cols] act. An id outside [0, E.rows) is GT_ERR_ARG and
 * out is then partly written. */
#ifndef GT_EMBED_H
#define GT_EMBED_H

#include "exec.h"
#include "matrix.h"

typedef gt_status gt_embed_fn(gt_exec *x, void *out, const gt_matrix *e, const int32_t *ids, int n, float multiplier);
gt_embed_fn gt_embed_ref_f32, gt_embed_ref_bf16, gt_embed_ref_f64;
gt_embed_fn gt_embed_cpu_f32, gt_embed_cpu_bf16;

/* GT_ERR_ARG naming the first id outside [0, rows). */
gt_status gt_embed_check_ids(const int32_t *ids, int n, int rows);

#endif
