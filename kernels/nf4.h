/* nf4.h - quantizing a weight to NF4 with one or two levels of scales, and reading NF4/FP4 back, as bitsandbytes
 * defines both (docs/model/quant.md; Dettmers et al. 2023, arXiv:2305.14314). Quantizing follows bitsandbytes' CPU
 * reference (0.50) byte for byte, because that can be compared; reading follows the file's own tables. Plain C, one
 * thread: callers cut a matrix into runs of whole blocks. */
#ifndef GT_NF4_H
#define GT_NF4_H

#include "matrix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GT_NF4_BLOCK = 64, GT_NF4_BLOCK2 = 256 };

/* Names the quantizer in packed files and checkpoints: changed whenever a code or scale could change. */
#define GT_NF4_RULE "nf4-bnb-cpu-1"

/* The NF4 code book, ascending. */
extern const float gt_nf4_code[16];

/* The signed dynamic 8-bit code book of the scales, ascending, into the caller's memory. */
void gt_nf4_code2(float code2[256]);

/* ceil(n / block) */
static inline size_t gt_nf4_blocks(size_t n, size_t block)
{
    return n / block + (n % block != 0);
}

/* Quantizes a run of whole blocks (the last block of a matrix may be short).
 *   absmax[b] = max |w| over block b;  y = w * (1 / max(absmax, 1e-38));  code = the number of midpoints of the book
 *   below y
 * w [n] f32 (widened bf16, f16 or f32) -> codes [ceil(n/2)], the even element in the high nibble, and absmax
 * [ceil(n/64)]. An all-zero block stores absmax 0 and code 7 (= 0). False, outputs partly written, when w holds an
 * infinity or NaN. */
bool gt_nf4_quantize(uint8_t *codes, float *absmax, const float *w, size_t n);

/* The offset of the second level: the mean of a matrix's absmax [nb], summed in double and rounded once to f32 (the
 * reference sums in float, in an order of its own: its value lies within 2 ulp). */
float gt_nf4_offset(const float *absmax, size_t nb);

/* The second level, given the offset: d = absmax - offset; per 256: absmax2 = max |d|; y = d * (1 / absmax2);
 *   g = floor((y + 1) * 32767.5 + 0.5);  code = the entry of code2 nearest to g * 2 / 65535 - 1.
 * absmax2 = 0 stores code 0. absmax [nb] -> absmax8 [nb], absmax2 [ceil(nb/256)]. Starts at a block of 256. */
void gt_nf4_nest(uint8_t *absmax8, float *absmax2, const float *absmax, size_t nb, float offset,
                 const float code2[256]);

/* Elements [begin, begin + n) of the flattened NF4/FP4 matrix, rounded to m->round_to and widened to f32: out [n]. */
void gt_nf4_dequantize(float *out, const gt_matrix *m, size_t begin, size_t n);

#endif
