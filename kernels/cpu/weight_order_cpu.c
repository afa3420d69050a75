#include "weight_order_cpu.h"

#include "cpu_kernels.h"
#include "onednn.h"
#include "weight_order_avx512.h"

/* Strips of 16 rows by at most so many columns are decoded into the worker's scratch, which the first cache holds, and
 * written from there to their places. */
enum { PIECE = 1024 }; /* a multiple of every format's block */

typedef struct {
    gt_exec *x;
    const gt_matrix *m;
    uint16_t *out;
    int pieces;
    bool forward;
} job;

bool gt_weight_is_packed(gt_dtype act, int rows, int cols, gt_weight_order order)
{
    return order != GT_ORDER_ROWS && act == GT_BF16 && rows > 0 && cols > 0 && rows % 64 == 0 && cols % 64 == 0 &&
           gt_onednn_blocks();
}

size_t gt_decode_weight_scratch_cpu(void)
{
    return (size_t)GT_STRIP * PIECE * sizeof(uint16_t);
}

static void strip(void *context, int task, int worker)
{
    const job *j = context;
    const size_t row = (size_t)(task / j->pieces) * GT_STRIP, col = (size_t)(task % j->pieces) * PIECE,
                 rows = (size_t)j->m->rows, cols = (size_t)j->m->cols;
    const size_t wide = cols - col < PIECE ? cols - col : PIECE;
    uint16_t *values = gt_exec_scratch(j->x, worker);
    for (size_t i = 0; i < GT_STRIP; i++)
        gt_decode_span_cpu_bf16(values + i * wide, j->m, (row + i) * cols + col, wide);
    if (j->forward) {
        uint16_t *out = j->out + row / GT_BLOCK_COLS * cols * GT_BLOCK_COLS + col / GT_BLOCK_ROWS * GT_BLOCK;
        gt_pack_forward_avx512(out + row % GT_BLOCK_COLS * 2, values, (int)wide);
    } else {
        const size_t stride = rows * GT_BLOCK_COLS;
        uint16_t *out = j->out + col / GT_BLOCK_COLS * stride + row / GT_BLOCK_ROWS * GT_BLOCK;
        gt_pack_backward_avx512(out + row % GT_BLOCK_ROWS * GT_BLOCK_COLS, values, (int)wide, stride);
    }
}

gt_status gt_decode_weight_cpu_f32(gt_exec *x, void *out, const gt_matrix *m, gt_weight_order order)
{
    (void)order;
    return gt_decode_cpu_f32(x, out, m, 0, m->rows);
}

gt_status gt_decode_weight_cpu_bf16(gt_exec *x, void *out, const gt_matrix *m, gt_weight_order order)
{
    if (!gt_weight_is_packed(GT_BF16, m->rows, m->cols, order)) return gt_decode_cpu_bf16(x, out, m, 0, m->rows);
    GT_TRY(gt_decode_check(m, 0, m->rows));
    if (x->scratch_stride < gt_decode_weight_scratch_cpu())
        return GT_FAIL(GT_ERR_ARG, "%zu bytes of scratch a worker; decoding a weight needs %zu", x->scratch_stride,
                       gt_decode_weight_scratch_cpu());
    job j = {x, m, out, (m->cols + PIECE - 1) / PIECE, order == GT_ORDER_FORWARD};
    gt_pool_run(x->pool, m->rows / GT_STRIP * j.pieces, strip, &j);
    return GT_OK;
}
