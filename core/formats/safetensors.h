/* safetensors.h - the Hugging Face tensor file: [u64 N][N bytes of JSON][data] (docs/model/formats.md section 1; the
 * public definition is huggingface/safetensors, README "Format" and safetensors/src/tensor.rs).
 *
 * Reading maps the file and validates all of it before anything is handed out: sizes, dtypes, that the tensors cover
 * the data without hole or overlap, and that nothing follows. Writing goes to a temporary name and is renamed last. */
#ifndef GT_SAFETENSORS_H
#define GT_SAFETENSORS_H

#include "dtype.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GT_SAFETENSORS_MAX_HEADER = 100000000, /* bytes of JSON, as the public library */
    GT_SAFETENSORS_OPAQUE = 255 /* dtype of a format we know the size of and cannot compute with (F8_E4M3 ...) */
};

typedef struct {
    const char *name;       /* UTF-8 without NUL */
    gt_dtype dtype;         /* or GT_SAFETENSORS_OPAQUE */
    const char *dtype_name; /* the file's spelling, static */
    int rank;
    const uint64_t *shape; /* [rank] */
    size_t elements, bytes;
    const void *data; /* in the map; aligned only as the writer made it */
} gt_safetensor;

typedef struct gt_safetensors gt_safetensors;

/* Maps and validates a file. Release with gt_safetensors_close; tensors live until then.
 * GT_ERR_IO: not readable. GT_ERR_DATA: names file, tensor and field. */
gt_status gt_safetensors_open(gt_safetensors **out, const char *path);
void gt_safetensors_close(gt_safetensors *s); /* NULL is fine */

/* The same checks over bytes that the caller keeps (data [size], unchanged until close). where: for messages. */
gt_status gt_safetensors_open_bytes(gt_safetensors **out, const void *data, size_t size, const char *where);

const char *gt_safetensors_path(const gt_safetensors *s);

/* Tensors in the order of their data. */
size_t gt_safetensors_count(const gt_safetensors *s);
const gt_safetensor *gt_safetensors_at(const gt_safetensors *s, size_t i);           /* NULL when i >= count */
const gt_safetensor *gt_safetensors_find(const gt_safetensors *s, const char *name); /* NULL when absent */

/* A string of __metadata__, NULL when absent; and all of them by number. */
const char *gt_safetensors_metadata(const gt_safetensors *s, const char *key);
size_t gt_safetensors_metadata_count(const gt_safetensors *s);
const char *gt_safetensors_metadata_at(const gt_safetensors *s, size_t i, const char **key);

/* Writing. */

enum { GT_SAFETENSORS_MAX_RANK = 4 }; /* of what we write */

typedef struct {
    const char *name;
    gt_dtype dtype; /* an element format */
    int rank;
    uint64_t shape[GT_SAFETENSORS_MAX_RANK];
} gt_safetensor_spec;

typedef struct gt_safetensors_writer gt_safetensors_writer;

/* Begins path under a temporary name: all tensors are declared now, their data follow in this order (so nothing has to
 * be held). __metadata__ is {"format": "pt"} and the pairs metadata[2*i], metadata[2*i+1] (NULL-terminated; NULL for
 * none). Strings are used during the call only. GT_ERR_ARG: a block format, a name twice, an overflow. GT_ERR_IO. */
gt_status gt_safetensors_create(gt_safetensors_writer **out, const char *path, const gt_safetensor_spec *spec,
                                size_t count, const char *const *metadata);

/* The next bytes of the data; pieces may be of any size and cross tensors. GT_ERR_ARG: more than was declared. */
gt_status gt_safetensors_write(gt_safetensors_writer *w, const void *data, size_t bytes);

/* Publishes the file (fsync, rename, fsync of the folder) and releases w, also on failure.
 * GT_ERR_ARG: less was written than declared. */
gt_status gt_safetensors_publish(gt_safetensors_writer *w);
void gt_safetensors_abandon(gt_safetensors_writer *w); /* removes the temporary file; NULL is fine */

#endif
