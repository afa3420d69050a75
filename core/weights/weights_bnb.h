/* weights_bnb.h - 4-bit weights as bitsandbytes serializes them into safetensors (docs/model/quant.md section 6). */
#ifndef GT_WEIGHTS_BNB_H
#define GT_WEIGHTS_BNB_H

#include "tensor_set.h"
#include "weights_sources.h"

/* Refuses the text of a config.json whose quantization_config is not bitsandbytes in 4 bits; a config without one is
 * fine. The tensors themselves say which of them are packed. GT_ERR_DATA. */
gt_status gt_bnb_check_config(const char *text, size_t bytes, const char *where);

/* Whether `name` ("...q_proj.weight") is packed: it has a quant_state beside it. */
bool gt_bnb_is_packed(const gt_tensor_set *set, const char *name);

/* The view of a packed weight of [rows, cols], every field and size checked; what lies misaligned in the file is copied
 * into w. GT_ERR_DATA names file, tensor and field. */
gt_status gt_bnb_matrix(gt_matrix *out, gt_weights *w, gt_tensor_set *set, const char *name, int rows, int cols);

/* A pointer to a tensor's data that is aligned for its element: the map's own, or a copy kept by w (with a warning). */
gt_status gt_weights_aligned(const void **out, gt_weights *w, const gt_tensor_set *set, const gt_safetensor *t,
                             size_t alignment);

#endif
