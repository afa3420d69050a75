/* gguf.h - the GGUF model file, versions 2 and 3, whole or split over several files (docs/model/formats.md section 3;
 * the public definition is gguf.md of ggml-org/ggml).
 *
 * Opening maps every file and validates all of it before anything is handed out: counts, lengths, types, duplicates,
 * that tensors lie inside the data and not on each other. Values and strings are read in place from the map. */
#ifndef GT_GGUF_H
#define GT_GGUF_H

#include "dtype.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    GT_GGUF_U8,
    GT_GGUF_I8,
    GT_GGUF_U16,
    GT_GGUF_I16,
    GT_GGUF_U32,
    GT_GGUF_I32,
    GT_GGUF_F32,
    GT_GGUF_BOOL,
    GT_GGUF_STRING,
    GT_GGUF_ARRAY,
    GT_GGUF_U64,
    GT_GGUF_I64,
    GT_GGUF_F64,
    GT_GGUF_TYPE_COUNT
} gt_gguf_type; /* the file's numbers */

typedef struct {
    const char *name; /* [name_size] and a NUL; owned by the reader */
    gt_dtype dtype;
    int rank;
    uint64_t dim[4]; /* fastest-varying first: a [out, in] matrix has dim = {in, out}; 1 beyond rank */
    size_t elements, bytes;
    const void *data; /* in the map, 8-byte aligned */
    int file;         /* number of the file that holds it, from 0 */
} gt_gguf_tensor;

typedef struct gt_gguf gt_gguf;

/* Opens a file, or all files of a split model given any of them (NAME-00001-of-0000N.gguf).
 * GT_ERR_IO; GT_ERR_DATA names file, key or tensor, field and what was expected. Release with gt_gguf_close. */
gt_status gt_gguf_open(gt_gguf **out, const char *path);

/* One file's bytes that the caller keeps (data [size], 8-byte aligned, unchanged until close). */
gt_status gt_gguf_open_bytes(gt_gguf **out, const void *data, size_t size, const char *where);
void gt_gguf_close(gt_gguf *g); /* NULL is fine */

/* Of the file with that number in a split model, from 0. */
const char *gt_gguf_path(const gt_gguf *g, int file);

/* Tensors in the order of the files; NULL when i >= count, when absent. */
size_t gt_gguf_count(const gt_gguf *g);
const gt_gguf_tensor *gt_gguf_at(const gt_gguf *g, size_t i);
const gt_gguf_tensor *gt_gguf_find(const gt_gguf *g, const char *name);

/* Metadata, of the first file. Pairs are sorted by key; key_at: NULL when i >= count. */
size_t gt_gguf_key_count(const gt_gguf *g);
const char *gt_gguf_key_at(const gt_gguf *g, size_t i, gt_gguf_type *type);
bool gt_gguf_has(const gt_gguf *g, const char *key);

/* A value by key. When the key is absent *out keeps what it held and the call succeeds. Integers of every width serve
 * for int64 (GT_ERR_DATA if it does not fit), floats and integers for double. GT_ERR_DATA: another type; names the key.
 */
gt_status gt_gguf_get_int(const gt_gguf *g, const char *key, int64_t *out);
gt_status gt_gguf_get_double(const gt_gguf *g, const char *key, double *out);
gt_status gt_gguf_get_bool(const gt_gguf *g, const char *key, bool *out);

/* bytes [size], in the map, not NUL-terminated. */
gt_status gt_gguf_get_string(const gt_gguf *g, const char *key, const char **bytes, size_t *size);

/* An array, to be walked from the front. Elements lie packed and unaligned in the map. */
typedef struct {
    gt_gguf_type type; /* of the elements */
    uint64_t count;
    const uint8_t *next; /* the next element */
} gt_gguf_array;

/* count is 0 and *out otherwise untouched when the key is absent. */
gt_status gt_gguf_get_array(const gt_gguf *g, const char *key, gt_gguf_array *out);

/* The next string of a string array; call it at most count times. */
void gt_gguf_next_string(gt_gguf_array *a, const char **bytes, size_t *size);

/* All elements of a numeric array (any number type) as float or int32 into out [count]. GT_ERR_DATA: the key is absent,
 * the type is no number, the count is another one, a value does not fit. */
gt_status gt_gguf_copy_f32(const gt_gguf *g, const char *key, float *out, size_t count);
gt_status gt_gguf_copy_i32(const gt_gguf *g, const char *key, int32_t *out, size_t count);

#endif
