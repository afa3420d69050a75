#include "resident.h"

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

gt_status gt_resident_acquire(gt_model *m, int layer, gt_weight_order order, const gt_layer_weights **out)
{
    if (m->held_layer >= 0) return GT_FAIL(GT_ERR_INTERNAL, "layer %d is still held", m->held_layer);
    if (m->slot_layer != layer || m->slot_order != order) {
        m->slot_layer = -1;
        char *at = m->slot;
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            const gt_matrix *w = &m->weights->proj[layer][p];
            if (as_stored(w, m->k->act)) {
                m->held.proj[p] = w->data;
                m->held.order[p] = GT_ORDER_ROWS;
                continue;
            }
            GT_TRY(m->k->decode_weight(&m->x, at, w, order));
            m->held.proj[p] = at;
            m->held.order[p] = order;
            at += matrix_bytes(w, m->k->act);
        }
        for (int i = 0; i < GT_NORM_COUNT; i++) m->held.norm[i] = m->weights->norm[layer][i];
        m->slot_layer = layer; /* consecutive passes over one layer (tokens of a reply, say) decode it once */
        m->slot_order = order;
    }
    m->held_layer = layer;
    *out = &m->held;
    return GT_OK;
}

void gt_resident_release(gt_model *m, int layer)
{
    if (m->held_layer == layer) m->held_layer = -1;
}
