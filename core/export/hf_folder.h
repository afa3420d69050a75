/* hf_folder.h - writing a Hugging Face model folder: tensors into one safetensors file or into shards with their index,
 * and the small files beside them. */
#ifndef GT_HF_FOLDER_H
#define GT_HF_FOLDER_H

#include "safetensors.h"
#include "tokenizer.h"
#include "weights.h"

#include <stdbool.h>

/* Bytes of tensors a shard, unless one tensor alone is larger. */
#define GT_HF_SHARD_BYTES 5000000000ull

typedef struct {
    char name[144];
    gt_dtype dtype;
    int rank;
    uint64_t shape[2];
    int module; /* what it is made from; the producer's own meaning */
    int part;
} gt_hf_tensor;

/* Writes all of a tensor's bytes, in pieces, with gt_safetensors_write. */
typedef gt_status (*gt_hf_produce)(void *user, const gt_hf_tensor *t, gt_safetensors_writer *w);

/* Writes the tensors into folder (which exists): model.safetensors, or, cut in the given order,
 * model-0000N-of-0000M.safetensors and model.safetensors.index.json. Inside a file they are in the safetensors
 * library's order: produce is called in that. metadata: as gt_safetensors_create. Nothing is held but what produce
 * holds. */
gt_status gt_hf_write_tensors(const char *folder, const gt_hf_tensor *t, size_t count, uint64_t shard_bytes,
                              const char *const *metadata, gt_hf_produce produce, void *user);

/* Writes config.json, generation_config.json and the tokenizer's files. config: its text. From a folder, tokenizer
 * files and generation_config.json are copied as they are; otherwise they are made from tokenizer (NULL: none are
 * written) and the config. */
gt_status gt_hf_write_small_files(const char *folder, const gt_weights *w, const gt_text *config,
                                  const gt_tokenizer *tokenizer);

/* Where text models' tensors are in what we write: "model." ("" for an embedding model). Static string. */
const char *gt_hf_prefix(const gt_model_config *c);

#endif
