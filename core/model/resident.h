/* resident.h - the only way to a layer's weights: acquire, compute, release. Here acquiring decodes the stored layer
 * into one slot in the compute dtype (or points into the mapped file when it is stored that way). */
#ifndef GT_RESIDENT_H
#define GT_RESIDENT_H

#include "table.h"
#include "weights.h"

/* The decoded weights of one layer while they are held. */
typedef struct {
    const void *proj[GT_PROJ_COUNT]; /* act [out, in], contiguous, lying as order says */
    gt_weight_order order[GT_PROJ_COUNT];
    const float *norm[GT_NORM_COUNT]; /* f32 factors 1 + w: [H] or [head_dim] */
} gt_layer_weights;

/* One slot and who lies in it. Set up by hand: what is borrowed, the slot, and -1 for both layers. */
typedef struct {
    const gt_weights *weights; /* borrowed, as are k and x */
    const gt_kernels *k;
    gt_exec *x;
    void *slot; /* gt_resident_slot_bytes: decoded weights of the layer in hand */
    gt_layer_weights held;
    int held_layer; /* -1: none */
    int slot_layer; /* whose weights the slot still holds (they survive a release), or -1 */
    gt_weight_order slot_order;
} gt_resident;

/* Bytes of the slot for the largest layer (0 when no layer needs decoding). */
size_t gt_resident_slot_bytes(const gt_weights *w, gt_dtype act);

/* order says what for, GT_ORDER_FORWARD or GT_ORDER_BACKWARD: a layer is decoded straight into the order in which the
 * products of that pass read it. *out is valid until release; one layer at a time (GT_ERR_INTERNAL). */
gt_status gt_resident_acquire(gt_resident *r, int layer, gt_weight_order order, const gt_layer_weights **out);
void gt_resident_release(gt_resident *r, int layer);

#endif
