/* xent_plan_cpu.h - what the cpu head's loss and its logits share: tiles of E as operands of products, and a worker's
 * scratch. */
#ifndef GT_XENT_PLAN_CPU_H
#define GT_XENT_PLAN_CPU_H

#include "xent.h"
#include "xent_tiles.h"

enum { GT_HEAD_TILE = 256, GT_HEAD_GROUP = 64 }; /* rows of E a tile; rows of the batch multiplied with it at once */

typedef struct {
    const gt_matrix *embed;
    gt_dtype act, operand; /* operand: of products; GT_F32 where bf16 values are widened */
    int hidden;
    const gt_xent_tiles *tiles;
} gt_head_plan;

/* GT_ERR_ARG as gt_head_check, or less scratch than gt_head_scratch_cpu. */
gt_status gt_head_plan_make(gt_head_plan *p, const gt_exec *x, const gt_matrix *embed, int rows, int hidden,
                            const int32_t *target, gt_dtype act, size_t buffer_bytes, size_t need);

/* A worker's scratch. */
typedef struct {
    void *onednn, *e, *narrow, *p;
    float *z;
} gt_head_scratch;

/* Carved from the worker's scratch. */
gt_head_scratch gt_head_scratch_of(const gt_exec *x, int worker, int hidden);

/* Rows [v0, v0 + count) of E as operands, [count, hidden]: where they lie, or decoded into the scratch. */
const void *gt_head_tile(const gt_head_plan *p, int v0, int count, const gt_head_scratch *s);

/* count act values as operands. */
void gt_head_operands(const gt_head_plan *p, void *dst, const void *src, size_t count);

static inline size_t gt_head_operand_bytes(const gt_head_plan *p)
{
    return p->operand == GT_BF16 ? 2 : 4;
}

#endif
