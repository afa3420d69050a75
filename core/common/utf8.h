/* utf8.h - strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef GT_UTF8_H
#define GT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the character at bytes[0], of at most size bytes: its length 1 ... 4 and its number in *scalar (may be NULL);
 * 0 when the bytes there are no valid UTF-8 or size is 0. */
int gt_utf8_decode(const char *bytes, size_t size, uint32_t *scalar);

/* Writes a Unicode scalar as UTF-8 and returns its length 1 ... 4. A surrogate or a number above U+10FFFF becomes
 * U+FFFD. */
int gt_utf8_encode(char out[4], uint32_t scalar);

/* Whether bytes are valid UTF-8; if not, *bad (may be NULL) is the offset of the first wrong byte. */
bool gt_utf8_valid(const char *bytes, size_t size, size_t *bad);

#endif
