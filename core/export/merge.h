/* merge.h - a base, with or without an adapter added to its weights, as a plain bf16 Hugging Face folder of the text
 * model. */
#ifndef GT_MERGE_H
#define GT_MERGE_H

#include "lora_targets.h"
#include "pool.h"
#include "tokenizer.h"
#include "weights.h"

#include <stdbool.h>

/* An adapter over w's modules: flat values in gt_adapter's order. */
typedef struct {
    const int *rank;      /* [layers * GT_PROJ_COUNT] */
    const float *scaling; /* likewise */
    const float *param;
} gt_merge_adapter;

/* Writes folder: every matrix as bf16(W + scaling * B A), W being the value that the base stands for (dequantized,
 * decoded, rounded as gt_matrix says), the product summed in float32 over the rank in ascending order and the sum
 * rounded once; without adapter bf16(W). Shards of 5 GB; holds a few rows at a time. note: NULL, or pairs key, value,
 * NULL-terminated, recorded in the safetensors metadata and in config.json as "gemtune". GT_ERR_CONFIG: folder exists
 * (output_folder.h). GT_ERR_DATA: a value is not finite. Nothing is left on failure. */
gt_status gt_merge_write(const char *folder, const gt_weights *w, const gt_merge_adapter *adapter,
                         const char *const *note, const gt_tokenizer *tokenizer, bool replace, gt_pool *pool);

#endif
