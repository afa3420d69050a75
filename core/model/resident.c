#include "resident.h"

#include "arena.h"
#include "checked.h"

/* A matrix stored exactly as the kernels want it is used where it is mapped. */
static bool as_stored(const gt_matrix *w, gt_dtype act)
{
    return w->dtype == act && (w->round_to == act || act == GT_BF16 || w->round_to == GT_F32);
}

static size_t matrix_bytes(const gt_matrix *w, gt_dtype act)
{
    if (as_stored(w, act)) return 0;
    return gt_align_up((size_t)w->rows * (size_t)w->cols * (size_t)gt_dtype_block_bytes(act), GT_ARENA_ALIGN);
}

size_t gt_resident_slot_bytes(const gt_weights *w, gt_dtype act)
{
    size_t most = 0;
    for (int l = 0; l < w->config.num_hidden_layers; l++) {
        size_t bytes = 0;
        for (int p = 0; p < GT_PROJ_COUNT; p++) bytes += matrix_bytes(&w->proj[l][p], act);
        if (bytes > most) most = bytes;
    }
    return most;
}

static gt_status decode(gt_resident *r, int layer, gt_weight_order order)
{
    const gt_dtype act = r->k->act;
    char *at = r->slot;
    r->slot_layer = -1;
    for (int p = 0; p < GT_PROJ_COUNT; p++) {
        const gt_matrix *w = &r->weights->proj[layer][p];
        const bool stored = as_stored(w, act);
        r->held.proj[p] = stored ? w->data : at;
        r->held.order[p] = stored ? GT_ORDER_ROWS : order;
        if (stored) continue;
        GT_TRY(r->k->decode_weight(r->x, at, w, order));
        at += matrix_bytes(w, act);
    }
    for (int i = 0; i < GT_NORM_COUNT; i++) r->held.norm[i] = r->weights->norm[layer][i];
    r->slot_layer = layer;
    r->slot_order = order;
    return GT_OK;
}

gt_status gt_resident_acquire(gt_resident *r, int layer, gt_weight_order order, const gt_layer_weights **out)
{
    if (r->held_layer >= 0) return GT_FAIL(GT_ERR_INTERNAL, "layer %d is still held", r->held_layer);
    /* what is asked for twice in a row (the last layer: forward, then its recomputation) is decoded once */
    if (r->slot_layer != layer || r->slot_order != order) GT_TRY(decode(r, layer, order));
    r->held_layer = layer;
    *out = &r->held;
    return GT_OK;
}

void gt_resident_release(gt_resident *r, int layer)
{
    if (r->held_layer == layer) r->held_layer = -1;
}
