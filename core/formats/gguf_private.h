/* gguf_private.h - the reader's insides, shared by gguf.c (files and tensors) and gguf_values.c (metadata). */
#ifndef GT_GGUF_PRIVATE_H
#define GT_GGUF_PRIVATE_H

#include "fs.h"
#include "gguf.h"

typedef struct {
    char *key; /* owned */
    gt_gguf_type type;
    const uint8_t *value; /* in the map, checked; strings begin with their length, arrays with type and count */
} gt_gguf_pair;

typedef struct {
    gt_map map;
    const uint8_t *bytes; /* the map's, or the caller's */
    size_t size;
    char *where;        /* owned */
    gt_gguf_pair *pair; /* [pairs] sorted by key */
    size_t pairs;
    uint32_t version;
} gt_gguf_file;

struct gt_gguf {
    gt_gguf_file *file;
    int files;
    gt_gguf_tensor *tensor; /* [count] names owned */
    const gt_gguf_tensor **by_name;
    size_t count;
};

/* What is left of a file to parse: [at, end). */
typedef struct {
    const uint8_t *at, *end;
    const char *where;
} gt_gguf_cursor;

/* Little-endian reads of 1 to 8 bytes; the caller has checked that they are there. */
uint64_t gt_gguf_le(const uint8_t *p, int bytes);

/* Reads the next u32 or u64; GT_ERR_DATA when the file ends before. */
gt_status gt_gguf_read_u32(gt_gguf_cursor *c, uint32_t *out, const char *what);
gt_status gt_gguf_read_u64(gt_gguf_cursor *c, uint64_t *out, const char *what);

/* Reads all pairs into f, sorted, without duplicates. Frees nothing on failure: gt_gguf_close does. */
gt_status gt_gguf_read_pairs(gt_gguf_cursor *c, gt_gguf_file *f, uint64_t count);

const gt_gguf_pair *gt_gguf_find_pair(const gt_gguf_file *f, const char *key);

/* As gt_gguf_get_int, of one file. */
gt_status gt_gguf_pair_int(const gt_gguf_file *f, const char *key, int64_t *out);

#endif
