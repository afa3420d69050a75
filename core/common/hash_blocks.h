/* hash_blocks.h - SHA-256's compression function, in C and with the SHA extensions. For hash.c and its test. */
#ifndef GT_HASH_BLOCKS_H
#define GT_HASH_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

/* Runs `count` blocks of 64 bytes into the state h (FIPS 180-4, section 6.2.2). */
typedef void (*gt_sha256_fn)(uint32_t h[8], const uint8_t *p, size_t count);

/* In plain C: what every processor runs. */
void gt_sha256_blocks_c(uint32_t h[8], const uint8_t *p, size_t count);

/* The fastest that this CPU runs; gt_sha256_blocks_c where nothing better is there. */
gt_sha256_fn gt_sha256_blocks(void);

#endif
