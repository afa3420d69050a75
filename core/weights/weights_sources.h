/* weights_sources.h - for the files that open one kind of base each: how they fill a gt_weights. Users of a base need
 * only weights.h. */
#ifndef GT_WEIGHTS_SOURCES_H
#define GT_WEIGHTS_SOURCES_H

#include "hash.h"
#include "weights.h"

/* Each opens one kind; gt_weights_open chooses. On failure nothing is left open. */
gt_status gt_weights_open_hf(gt_weights **out, const char *folder); /* weights_hf.c */
gt_status gt_weights_open_gguf(gt_weights **out, const char *path); /* weights_gguf.c */
gt_status gt_weights_open_gtq(gt_weights **out, const char *path);  /* gtq_read.c */

/* An empty base with source and path set and prefix "model.": the opener fills config, matrices and norms. Release with
 * gt_weights_close at any stage. GT_ERR_NOMEM. */
gt_status gt_weights_new(gt_weights **out, const char *source, const char *path);

/* Hands `object` to w: gt_weights_close calls release(object), the last one handed over first. If that cannot be noted
 * (GT_ERR_NOMEM), release is called at once. */
gt_status gt_weights_keep(gt_weights *w, void *object, void (*release)(void *object));

/* A buffer of w's own, 64-byte aligned, freed with it. GT_ERR_NOMEM. */
gt_status gt_weights_buffer(gt_weights *w, void **out, size_t bytes);

/* Notes that so many bytes of weights had to be copied out of the map: told once, since ranks then share less; and how
 * many in all. */
void gt_weights_note_copy(gt_weights *w, size_t bytes);
size_t gt_weights_copied(const gt_weights *w);

/* Remembers the identity that the source carries, so that gt_weights_identity need not read everything. */
void gt_weights_set_identity(gt_weights *w, const char hex[65]);

/* The tensor's name below the prefix in Hugging Face's spelling, without ".weight" ("layers.3.mlp.up_proj"). */
void gt_weights_proj_name(char out[80], int layer, gt_proj p);
void gt_weights_norm_name(char out[80], int layer, gt_norm n);

/* Elements of a norm under a config: hidden_size, or head_dim for q and k. */
int gt_weights_norm_size(const gt_model_config *c, gt_norm n);

/* What set_identity noted, or "". */
const char *gt_weights_carried_identity(const gt_weights *w);

/* The pieces that gt_weights_identity is made of, for who writes a base while it is being made. The digest of a matrix
 * covers its format, shape and contents; _begin starts one whose elements the caller adds row by row (element and GGUF
 * formats). */
void gt_weights_matrix_digest(uint8_t digest[32], const gt_matrix *m);
void gt_weights_digest_begin(gt_sha256 *s, gt_dtype dtype, int rows, int cols);

/* The identity from w's config and norms and the digests of the embedding and then of every projection, layer by layer:
 * digest [1 + layers * GT_PROJ_COUNT]. */
void gt_weights_identity_of(char hex[65], const gt_weights *w, uint8_t (*digest)[32]);

/* Called by gt_weights_open when the opener is done: every matrix has data, its shape is the config's and its format
 * one that gt_matrix allows; norms are there and finite. GT_ERR_DATA names the tensor. */
gt_status gt_weights_check(const gt_weights *w);

#endif
