/* xent.h - the tied head and its cross-entropy over chosen rows (docs/model/backward.md sections 1.1 and 3).
 *   z = xf E^T, never rounded to bf16;  loss_i = logsumexp(z_i) - z_i[target_i];  dxf_i = sum_j (softmax(z_i)_j -
 *   [j = target_i]) E_j, not divided by anything.  E is decoded to act first.
 * loss [rows] double; argmax the lowest id among the greatest; GT_ERR_ARG: a target outside [0, vocab), or a buffer
 * below gt_kernels.head_buffer_bytes(rows, hidden, vocab). The buffer does not grow with rows beyond a chunk. */
#ifndef GT_XENT_H
#define GT_XENT_H

#include "exec.h"
#include "matrix.h"

#include <stddef.h>
#include <stdint.h>

/* bf16: products of bf16 operands accumulated in float32, z kept in float32. */
typedef struct {
    const void *xf; /* [rows, hidden] act: final-norm outputs of the supervised positions */
    int rows, hidden;
    const gt_matrix *embed; /* [V, hidden], any storage format; decoded tile by tile */
    const int32_t *target;  /* [rows] */
    double *loss;           /* [rows] out */
    int32_t *argmax;        /* [rows] out, lowest id on ties; NULL if not wanted */
    float *dxf;             /* [rows, hidden] f32 out: d(sum of losses)/d xf; NULL if not wanted */
    void *buffer;           /* gt_kernels.head_buffer_bytes(rows, hidden, V) bytes, 64-byte aligned */
    size_t buffer_bytes;
} gt_head_loss;

typedef gt_status gt_head_loss_fn(gt_exec *x, const gt_head_loss *h);
/* logits [rows, V] f32 = xf E^T, not rounded. buffer as for a loss. */
typedef gt_status gt_head_logits_fn(gt_exec *x, float *logits, const void *xf, int rows, int hidden,
                                    const gt_matrix *embed, void *buffer, size_t buffer_bytes);

/* Bytes of buffer for a call over `rows` rows. */
typedef size_t gt_head_buffer_bytes_fn(int rows, int hidden, int vocab);

/* GT_ERR_ARG naming the first target outside [0, vocab), a matrix that cannot be decoded or is not [V, hidden], or a
 * buffer below `need`. target may be NULL (logits). */
gt_status gt_head_check(const gt_matrix *embed, int rows, int hidden, const int32_t *target, size_t buffer_bytes,
                        size_t need);

#endif
