#include "decode.h"

gt_status gt_decode_check(const gt_matrix *m, int row0, int nrows)
{
    if (m->rows < 0 || m->cols < 0)
        return GT_FAIL(GT_ERR_ARG, "matrix of %d x %d; expected sizes of 0 or more", m->rows, m->cols);
    if (row0 < 0 || nrows < 0 || nrows > m->rows - row0)
        return GT_FAIL(GT_ERR_ARG, "rows %d to %lld of a matrix of %d rows", row0, (long long)row0 + nrows, m->rows);
    switch (m->dtype) {
    case GT_F32:
    case GT_F16:
    case GT_BF16:
    case GT_F64:
        break;
    case GT_NF4:
    case GT_FP4:
        if (m->block < 32 || m->block > 4096 || (m->block & (m->block - 1)) != 0)
            return GT_FAIL(GT_ERR_ARG, "4-bit block of %d; expected a power of two in 32 to 4096", m->block);
        if (!m->code || (!m->absmax && !(m->absmax8 && m->absmax2 && m->code2)))
            return GT_FAIL(GT_ERR_ARG, "4-bit matrix without its code book or scales");
        if (!m->absmax && m->block2 < 1)
            return GT_FAIL(GT_ERR_ARG, "block of %d scales; expected 1 or more (256 is usual)", m->block2);
        break;
    case GT_Q4_0:
    case GT_Q4_1:
    case GT_Q5_0:
    case GT_Q5_1:
    case GT_Q8_0:
    case GT_Q4_K:
    case GT_Q5_K:
    case GT_Q6_K:
        if (m->cols % gt_dtype_block_elements(m->dtype) != 0)
            return GT_FAIL(GT_ERR_ARG, "%s rows of %d elements; expected a multiple of %d", gt_dtype_name(m->dtype),
                           m->cols, gt_dtype_block_elements(m->dtype));
        break;
    default:
        return GT_FAIL(GT_ERR_ARG, "weights in %s cannot be decoded", gt_dtype_name(m->dtype));
    }
    if (m->round_to != GT_BF16 && m->round_to != GT_F16 && m->round_to != GT_F32)
        return GT_FAIL(GT_ERR_ARG, "weights rounded to %s; expected BF16, F16 or F32", gt_dtype_name(m->round_to));
    if (!m->data && m->rows > 0 && m->cols > 0) return GT_FAIL(GT_ERR_ARG, "matrix without data");
    return GT_OK;
}
