/* tensor_set.h - the tensors of a folder of safetensors files as one: model.safetensors, or the shards that
 * model.safetensors.index.json lists (docs/model/formats.md section 2). */
#ifndef GT_TENSOR_SET_H
#define GT_TENSOR_SET_H

#include "safetensors.h"

typedef struct gt_tensor_set gt_tensor_set;

/* Opens the folder's file or all shards of its index: every name of the index must be in the file it names; files that
 * the index does not list are not looked at; tensors that it does not list are ignored with a warning.
 * GT_ERR_DATA: neither is there, a shard's name is no plain file name, a tensor is missing. Release with close. */
gt_status gt_tensor_set_open(gt_tensor_set **out, const char *folder);
void gt_tensor_set_close(gt_tensor_set *s); /* NULL is fine */

/* By name; NULL when absent. take also notes that the tensor was used. */
const gt_safetensor *gt_tensor_set_find(const gt_tensor_set *s, const char *name);
const gt_safetensor *gt_tensor_set_take(gt_tensor_set *s, const char *name);

/* All of them, sorted by name. */
size_t gt_tensor_set_count(const gt_tensor_set *s);
const gt_safetensor *gt_tensor_set_at(const gt_tensor_set *s, size_t i);
bool gt_tensor_set_used(const gt_tensor_set *s, size_t i);

/* The file that holds a tensor, for messages ("?" for a tensor of another set). */
const char *gt_tensor_set_where(const gt_tensor_set *s, const gt_safetensor *t);

#endif
