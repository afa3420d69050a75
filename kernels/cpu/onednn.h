/* onednn.h - one matrix product of oneDNN on the calling thread: the only door to that library.
 *
 * oneDNN's last bits change with its thread count and with the shape it is asked for, so every product here runs on
 * one thread and callers cut their work into tiles whose shapes depend on the problem alone. Primitives are kept by
 * shape in a bounded cache shared by all threads (a new shape costs about 0.3 ms and 100 KiB). Thread-safe. */
#ifndef GT_ONEDNN_H
#define GT_ONEDNN_H

#include "dtype.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>

/* C[m,n] = alpha * op(A) op(B) + beta * C; as gt_gemm. m, n, k >= 1; beta is 0 or 1. */
typedef struct {
    int m, n, k;
    ptrdiff_t lda, ldb, ldc;
    bool ta, tb;
    bool blocked; /* B lies in blocks (gt_onednn_blocks): ldb and tb are ignored */
    float alpha, beta;
    gt_dtype ab, c; /* GT_BF16 or GT_F32 each; ab GT_BF16 only where gt_onednn_bf16(); c is ab or GT_F32 */
} gt_onednn_product;

/* Working memory of one product, 64-byte aligned, in use during the call; a product that wants more (none of those
 * measured does) takes it from the heap for the length of the call. */
enum { GT_ONEDNN_SCRATCH = 2 << 20 };

/* Whether bf16 products run on bf16 instructions here; false: widen the operands and multiply in float32. */
bool gt_onednn_bf16(void);

/* Whether bf16 products read a right operand [k, n], k a multiple of 32 and n of 64, in place from blocks
 * [n/64][k/32][32/2][64][2]. */
bool gt_onednn_blocks(void);

/* GT_ERR_DEVICE: the library refuses the product or fails; the message holds its shape. */
gt_status gt_onednn_run(const gt_onednn_product *p, const void *a, const void *b, void *c, void *scratch);

#endif
