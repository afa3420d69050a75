/* golden_tensor.h - reads tensors of golden safetensors files without any code under test. Trusts the file. */
#ifndef GT_GOLDEN_TENSOR_H
#define GT_GOLDEN_TENSOR_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *bytes; /* the whole file */
    size_t size, header;
} golden_file;

typedef struct {
    const void *data; /* inside the file's bytes; not aligned beyond the element's size */
    char dtype[8];    /* "F32", "BF16", "U8" ... */
    size_t bytes;
    int dims;
    size_t shape[4];
} golden_tensor;

/* path: as golden() returns it. Fails the test when it cannot be read. */
golden_file golden_open(const char *path);
void golden_close(golden_file *f);

/* Fails the test when there is no such tensor. */
golden_tensor golden_get(const golden_file *f, const char *name);

/* Whether it is there. */
int golden_has(const golden_file *f, const char *name);

#endif
