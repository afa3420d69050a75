/* The matrix is one run of elements, cut into pieces of whole blocks whatever its rows; the loops are decode_rows.h.
 * Floor: the stored bytes read and the act written. */
#include "cpu_kernels.h"
#include "row_loops.h"
#include "spread.h"

typedef struct {
    const gt_rows *rows;
    int type; /* index of act in gt_rows */
    char *out;
    const gt_matrix *m;
    size_t first;
} job;

static void decode_range(const void *context, size_t begin, size_t end)
{
    const job *j = context;
    j->rows->decode[j->type](j->out + begin * (j->type ? 2 : 4), j->m, j->first + begin, end - begin);
}

static gt_status decode(int type, gt_exec *x, void *out, const gt_matrix *m, int row0, int nrows)
{
    enum { GRAIN = 65536 }; /* a multiple of every format's block, the 4-bit ones included */
    GT_TRY(gt_decode_check(m, row0, nrows));
    job j = {gt_rows_current(), type, out, m, (size_t)row0 * (size_t)m->cols};
    gt_spread(x, (size_t)nrows * (size_t)m->cols, GRAIN, decode_range, &j);
    return GT_OK;
}

gt_status gt_decode_cpu_f32(gt_exec *x, void *out, const gt_matrix *m, int row0, int nrows)
{
    return decode(0, x, out, m, row0, nrows);
}

gt_status gt_decode_cpu_bf16(gt_exec *x, void *out, const gt_matrix *m, int row0, int nrows)
{
    return decode(1, x, out, m, row0, nrows);
}

void gt_decode_span_cpu_f32(float *out, const gt_matrix *m, size_t first, size_t count)
{
    gt_rows_current()->decode[0](out, m, first, count);
}

void gt_decode_span_cpu_bf16(uint16_t *out, const gt_matrix *m, size_t first, size_t count)
{
    gt_rows_current()->decode[1](out, m, first, count);
}
