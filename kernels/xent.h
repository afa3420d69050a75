/* xent.h - the tied head and its cross-entropy over chosen rows (docs/model/backward.md sections 1.1 and 3).
 *   z = xf E^T, never rounded to bf16;  loss_i = logsumexp(z_i) - z_i[target_i];  dxf_i = sum_j (softmax(z_i)_j -
 *   [j = target_i]) E_j, not divided by anything.  E is decoded to act first.
 * loss [rows] double; argmax the lowest id among the greatest; GT_ERR_ARG: a target outside [0, vocab), or a buffer
 * below gt_head_buffer_bytes_*(rows, hidden, vocab). The buffer does not grow with rows beyond a chunk. */
#ifndef GT_XENT_H
#define GT_XENT_H

#include "table.h"

typedef gt_status gt_head_loss_fn(gt_exec *x, const gt_head_loss *h);
gt_head_loss_fn gt_head_loss_ref_f32, gt_head_loss_ref_bf16, gt_head_loss_ref_f64;
gt_head_loss_fn gt_head_loss_cpu_f32, gt_head_loss_cpu_bf16;

typedef gt_status gt_head_logits_fn(gt_exec *x, float *logits, const void *xf, int rows, int hidden,
                                    const gt_matrix *embed, void *buffer, size_t buffer_bytes);
gt_head_logits_fn gt_head_logits_ref_f32, gt_head_logits_ref_bf16, gt_head_logits_ref_f64;
gt_head_logits_fn gt_head_logits_cpu_f32, gt_head_logits_cpu_bf16;

typedef size_t gt_head_buffer_bytes_fn(int rows, int hidden, int vocab);
gt_head_buffer_bytes_fn gt_head_buffer_bytes_ref, gt_head_buffer_bytes_cpu_f32, gt_head_buffer_bytes_cpu_bf16;

/* GT_ERR_ARG naming the first target outside [0, vocab), a matrix that cannot be decoded or is not [V, hidden], or a
 * buffer below `need`. target may be NULL (logits). */
gt_status gt_head_check(const gt_matrix *embed, int rows, int hidden, const int32_t *target, size_t buffer_bytes,
                        size_t need);

#endif
