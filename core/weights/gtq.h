/* gtq.h - a packed base in one file, made to be mapped: the frozen weights as they are used, the model's dimensions,
 * the tokenizer, and who quantized how. docs/gtq-format.md describes the bytes.
 *
 * Opening (gt_weights_open) reads the directory, checks every field of it against the file and the model, and takes
 * milliseconds; the contents are the map. They carry a SHA-256 each, which gt_gtq_verify compares. */
#ifndef GT_GTQ_H
#define GT_GTQ_H

#include "comm.h"
#include "pool.h"
#include "weights.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GT_GTQ_VERSION = 1 };

/* Who made the 4-bit codes, and how. */
typedef struct {
    char rule[40];     /* GT_NF4_RULE, or "stored": the codes are those that the source held (a bitsandbytes folder) */
    bool double_quant; /* scales are quantized again */
    int block, block2; /* weights a scale, scales a second-level scale (0 without) */
} gt_quantizer;

/* What a .gtq says about itself; reached from an opened base as gt_weights.packed, and lives as long. */
typedef struct gt_gtq_info {
    char tool[64];         /* "gemtune 0.1.0" */
    char source[16];       /* the kind of base it was made from: "huggingface", "gguf" */
    char source_name[256]; /* its name, for people: a hub id, or the last part of its path */
    gt_quantizer quantizer;
    char identity[65];     /* of the contents: gt_weights_identity of the opened base */
    const void *tokenizer; /* packed (gt_tokenizer_from_packed), in the map; NULL: it has none */
    size_t tokenizer_bytes;
    uint64_t file_bytes;
    const char *file; /* its path: gt_weights.path may be that of the original it was packed from */
} gt_gtq_info;

/* Reads everything and compares every digest, over the pool's threads (NULL: one). GT_ERR_DATA names file and tensor,
 * with the digest expected and found. */
gt_status gt_gtq_verify(const char *path, gt_pool *pool);

/* One of several parts of that work, 0 <= part < parts, for ranks that share it. */
gt_status gt_gtq_verify_part(const char *path, gt_pool *pool, int part, int parts);

/* What gt_gtq_write needs besides the source. */
typedef struct {
    bool double_quant;     /* quantize the scales too */
    bool replace;          /* an existing file may be replaced */
    const void *tokenizer; /* packed (gt_tokenizer_pack), or NULL */
    size_t tokenizer_bytes;
} gt_gtq_options;

/* Collective (comm NULL: this process alone). Packs source into path: projections are quantized to NF4 (f32 and f16
 * from the stored values, all else from their bf16), or copied where they are 4-bit already; norms are f32 factors; the
 * embedding is f32, f16 or bf16 as stored, and the bf16 of the decoded values where it is stored in blocks. Every rank
 * quantizes its share of the matrices with its pool and writes them in place; rank 0 adds directory and header, syncs
 * and renames: path is whole or not there. Holds one packed matrix and a tile a thread, never a decoded layer. The
 * bytes do not depend on ranks or threads. GT_ERR_CONFIG: path exists and replace is not set. GT_ERR_DATA: a weight is
 * not finite (names the tensor), or source is a .gtq already. GT_ERR_IO. On failure nothing is left, on every rank. */
gt_status gt_gtq_write(const char *path, const gt_weights *source, const gt_gtq_options *o, gt_comm *comm,
                       gt_pool *pool);

#endif
