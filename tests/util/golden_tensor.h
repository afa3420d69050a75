/* golden_tensor.h - tensors of golden safetensors files. It reads them by itself, on purpose: what the product's reader
 * gives is compared with this one, which shares no code with it. Trusts the file; fails the running test when the file
 * or tensor is absent or not of the kind asked for. */
#ifndef GT_GOLDEN_TENSOR_H
#define GT_GOLDEN_TENSOR_H

#include "dtype.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *bytes; /* the whole file, mapped */
    size_t size, header;
} golden_file;

typedef struct {
    const void *data; /* inside the file's bytes; at any offset, so not aligned */
    gt_dtype dtype;
    size_t bytes, elements;
    int rank;
    size_t shape[4];
} golden_tensor;

/* Any safetensors file, by its path. */
golden_file golden_open(const char *path);
void golden_close(golden_file *f);
golden_tensor golden_get(const golden_file *f, const char *name);

/* The tensor of a golden file (named as for golden(), which skips the test if it is absent), kept open till exit. */
golden_tensor golden_find(const char *file, const char *name);

/* The same as a plain array, malloc'ed, the caller's: any float format widened to float (F64 is refused) or double; any
 * integer format that fits to int32. n may be NULL. */
float *golden_f32(const char *file, const char *name, size_t *n);
double *golden_f64(const char *file, const char *name, size_t *n);
int32_t *golden_i32(const char *file, const char *name, size_t *n);

#endif
