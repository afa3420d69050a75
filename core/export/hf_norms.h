/* hf_norms.h - the tensors of a text model that are no projection, as Hugging Face folders hold them: the embedding and
 * the norms' weights w = factor - 1. */
#ifndef GT_HF_NORMS_H
#define GT_HF_NORMS_H

#include "hf_folder.h"

#define GT_HF_PLAIN_TENSORS(c) ((size_t)(c)->num_hidden_layers * GT_NORM_COUNT + 2)

/* Fills t [GT_HF_PLAIN_TENSORS] and returns their number; their module is below 0. dtype: of all of them (an element
 * format). */
size_t gt_hf_plain_tensors(gt_hf_tensor *t, const gt_weights *w, gt_dtype dtype);

/* Writes one of them: values rounded once to t->dtype, the embedding in tiles. */
gt_status gt_hf_produce_plain(const gt_weights *w, const gt_hf_tensor *t, gt_safetensors_writer *out);

#endif
