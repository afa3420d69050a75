/* gguf_image.h - writes GGUF files for tests, right and wrong ones: each call appends bytes to an image in memory. */
#ifndef GT_GGUF_IMAGE_H
#define GT_GGUF_IMAGE_H

#include "gguf.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *bytes; /* malloc'ed; gguf_image_free */
    size_t size, capacity;
} gguf_image;

void gguf_image_free(gguf_image *m);
void gguf_put(gguf_image *m, const void *bytes, size_t size);
void gguf_put_u32(gguf_image *m, uint32_t v);
void gguf_put_u64(gguf_image *m, uint64_t v);
void gguf_put_string(gguf_image *m, const char *text); /* length and bytes */

/* "GGUF", version, counts. */
void gguf_put_header(gguf_image *m, uint32_t version, uint64_t tensors, uint64_t keys);

/* A metadata pair. */
void gguf_put_key_u32(gguf_image *m, const char *key, uint32_t v);
void gguf_put_key_f32(gguf_image *m, const char *key, float v);
void gguf_put_key_string(gguf_image *m, const char *key, const char *v);

/* A tensor's description: dims fastest first, ended by 0; type is ggml's number. */
void gguf_put_info(gguf_image *m, const char *name, const uint64_t *dims, uint32_t type, uint64_t offset);

/* Zeros up to the next multiple of n. */
void gguf_put_padding(gguf_image *m, size_t n);

/* A whole tiny Gemma 3: hidden 32, 2 heads of 16, 1 kv head, inner 64, `layers` layers, 40 pieces, all F32; element i
 * of every tensor is i/1000, norms begin at 1. */
void gguf_put_tiny_gemma(gguf_image *m, int layers);

#endif
