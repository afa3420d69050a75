/* resident.h - the only way to a layer's weights: acquire, compute, release. Here acquiring decodes the stored layer
 * into one slot in the compute dtype (or points into the mapped file when it is stored that way). Where a base is
 * sharded over ranks or decoded on a device stream, prefetch starts the work and acquire waits for it. */
#ifndef GT_RESIDENT_H
#define GT_RESIDENT_H

#include "model.h"

/* Acquiring says what for: a layer is decoded straight into the order in which the products of that pass read it. */

/* Bytes of the slot for the largest layer (0 when no layer needs decoding). */
size_t gt_resident_slot_bytes(const gt_weights *w, gt_dtype act);

/* *out is valid until release. One layer at a time; order is GT_ORDER_FORWARD or GT_ORDER_BACKWARD. */
gt_status gt_resident_acquire(gt_model *m, int layer, gt_weight_order order, const gt_layer_weights **out);
void gt_resident_release(gt_model *m, int layer);

#endif
