/* golden_tensors.h - tensors of the golden files as plain arrays. Skips the running test if the file is absent, fails it
 * if the tensor is or its dtype does not fit. Arrays are malloc'ed, the caller frees. */
#ifndef GT_GOLDEN_TENSORS_H
#define GT_GOLDEN_TENSORS_H

#include "safetensors.h"

/* The file's reader, kept open till exit (a few files at once; the oldest goes). file: as for golden(). */
const gt_safetensors *golden_file(const char *file);

/* The tensor itself: shape, dtype, bytes (valid as long as the reader: use it at once). */
const gt_safetensor *golden_tensor(const char *file, const char *name);

/* Any float format widened to float (F64 is refused) or double; any integer format that fits to int32. n may be NULL. */
float *golden_f32(const char *file, const char *name, size_t *n);
double *golden_f64(const char *file, const char *name, size_t *n);
int32_t *golden_i32(const char *file, const char *name, size_t *n);

#endif
