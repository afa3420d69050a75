/* matrix.h - a frozen weight as it is stored: a view into mapped memory, in whatever format the file had.
 * Owns nothing. */
#ifndef GT_MATRIX_H
#define GT_MATRIX_H

#include "dtype.h"

#include <stdint.h>

typedef struct {
    const void *data; /* row-major [rows, cols]; NF4/FP4: codes, two a byte, even element in the high nibble */
    gt_dtype dtype;   /* GT_F32 GT_F16 GT_BF16 GT_F64, a GGUF block format, GT_NF4 or GT_FP4 */
    int rows, cols;   /* rows = out_features (or vocabulary), cols = in_features */

    /* GT_NF4 / GT_FP4 only (docs/model/quant.md). Block b: elements [b*block, (b+1)*block) of the flattened matrix. */
    int block;              /* 64 and other powers of two in 32..4096 */
    const float *code;      /* [16] the code book, from the file */
    const float *absmax;    /* [nb] scales, or NULL when they are quantized again: */
    const uint8_t *absmax8; /* [nb] codes of the scales */
    const float *absmax2;   /* [ceil(nb/block2)] */
    const float *code2;     /* [256] */
    int block2;             /* 256 */
    float offset;           /* scale = code2[absmax8[b]] * absmax2[b/block2] + offset, product and sum rounded apart */

    /* Every format: the dtype a decoded value is rounded to before it becomes act: GT_BF16, GT_F16, or GT_F32 for none.
     * NF4/FP4: what the quantized weight was; a GGUF read as a bf16 base: GT_BF16. */
    gt_dtype round_to;
} gt_matrix;

#endif
