/* hash.h - SHA-256 (FIPS 180-4), with the CPU's SHA instructions where it has them. */
#ifndef GT_HASH_H
#define GT_HASH_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t h[8];
    uint64_t bytes;
    uint8_t block[64];
    unsigned fill;
} gt_sha256;

/* SHA-256 (FIPS 180-4) of everything added between init and end. */
void gt_sha256_init(gt_sha256 *s);
void gt_sha256_add(gt_sha256 *s, const void *data, size_t size);
void gt_sha256_add_u64(gt_sha256 *s, uint64_t v); /* eight bytes, little-endian on every machine */
void gt_sha256_end(gt_sha256 *s, uint8_t digest[32]);

/* 64 lower-case hex digits and a NUL. */
void gt_hex(char out[65], const uint8_t digest[32]);
/* The way back, from 64 lower-case hex digits and a NUL; false for anything else, digest then unspecified. */
bool gt_unhex(uint8_t digest[32], const char *hex);

/* Of a whole file. GT_ERR_IO. */
gt_status gt_sha256_file(uint8_t digest[32], const char *path);

#endif
