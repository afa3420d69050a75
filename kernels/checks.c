/* What every backend refuses, and in which words: an argument that one filling refuses must not be one that another
 * computes with, so the checks stand here once and each filling calls them first. What only one backend cannot do
 * (too little scratch, a product too large for it) is checked there. */
#include "decode.h"
#include "dropout.h"
#include "elementwise.h"
#include "embed.h"
#include "norm.h"
#include "reduce.h"
#include "rope.h"
#include "xent.h"

static gt_status check_fourbit(const gt_matrix *m)
{
    if (m->block < 32 || m->block > 4096 || (m->block & (m->block - 1)) != 0)
        return GT_FAIL(GT_ERR_ARG, "4-bit block of %d; expected a power of two in 32 to 4096", m->block);
    if (!m->code || (!m->absmax && !(m->absmax8 && m->absmax2 && m->code2)))
        return GT_FAIL(GT_ERR_ARG, "4-bit matrix without its code book or scales");
    if (!m->absmax && m->block2 < 1)
        return GT_FAIL(GT_ERR_ARG, "block of %d scales; expected 1 or more (256 is usual)", m->block2);
    return GT_OK;
}

gt_status gt_decode_check(const gt_matrix *m, int row0, int nrows)
{
    if (m->rows < 0 || m->cols < 0)
        return GT_FAIL(GT_ERR_ARG, "matrix of %d x %d; expected sizes of 0 or more", m->rows, m->cols);
    if (row0 < 0 || nrows < 0 || nrows > m->rows - row0)
        return GT_FAIL(GT_ERR_ARG, "rows %d to %lld of a matrix of %d rows", row0, (long long)row0 + nrows, m->rows);
    if (!gt_dtype_is_weight(m->dtype))
        return GT_FAIL(GT_ERR_ARG, "weights in %s cannot be decoded", gt_dtype_name(m->dtype));
    if (gt_dtype_fourbit(m->dtype))
        GT_TRY(check_fourbit(m));
    else if (m->cols % gt_dtype_block_elements(m->dtype) != 0)
        return GT_FAIL(GT_ERR_ARG, "%s rows of %d elements; expected a multiple of %d", gt_dtype_name(m->dtype),
                       m->cols, gt_dtype_block_elements(m->dtype));
    if (m->round_to != GT_BF16 && m->round_to != GT_F16 && m->round_to != GT_F32)
        return GT_FAIL(GT_ERR_ARG, "weights rounded to %s; expected BF16, F16 or F32", gt_dtype_name(m->round_to));
    if (!m->data && m->rows > 0 && m->cols > 0) return GT_FAIL(GT_ERR_ARG, "matrix without data");
    return GT_OK;
}

gt_status gt_embed_check(const gt_matrix *e, const int32_t *ids, int n)
{
    GT_TRY(gt_decode_check(e, 0, 0));
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= e->rows)
            return GT_FAIL(GT_ERR_ARG, "token %d has id %d; the embedding has rows 0 to %d", i, (int)ids[i],
                           e->rows - 1);
    return GT_OK;
}

gt_status gt_head_check(const gt_matrix *embed, int rows, int hidden, const int32_t *target, size_t buffer_bytes,
                        size_t need)
{
    GT_TRY(gt_decode_check(embed, 0, 0));
    if (embed->cols != hidden)
        return GT_FAIL(GT_ERR_ARG, "head of width %d over an embedding of width %d", hidden, embed->cols);
    if (embed->rows < 1 && rows > 0) return GT_FAIL(GT_ERR_ARG, "head over an empty vocabulary");
    for (int i = 0; target && i < rows; i++)
        if (target[i] < 0 || target[i] >= embed->rows)
            return GT_FAIL(GT_ERR_ARG, "target %d is id %d; the vocabulary has ids 0 to %d", i, (int)target[i],
                           embed->rows - 1);
    if (buffer_bytes < need)
        return GT_FAIL(GT_ERR_ARG, "head buffer of %zu bytes; %d rows need %zu", buffer_bytes, rows, need);
    return GT_OK;
}

/* Whether an operation may read or write t beside act. */
static bool act_or_f32(gt_dtype t, gt_dtype act)
{
    return t == act || t == GT_F32;
}

gt_status gt_rmsnorm_bwd_check(gt_dtype act, gt_dtype dx_dtype, bool accumulate, gt_dtype dy_dtype)
{
    if (!act_or_f32(dx_dtype, act) || !act_or_f32(dy_dtype, act))
        return GT_FAIL(GT_ERR_ARG, "norm backward from %s to %s; expected %s or F32", gt_dtype_name(dy_dtype),
                       gt_dtype_name(dx_dtype), gt_dtype_name(act));
    if (accumulate && dx_dtype != GT_F32)
        return GT_FAIL(GT_ERR_ARG, "norm backward accumulates into %s; expected F32", gt_dtype_name(dx_dtype));
    return GT_OK;
}

gt_status gt_norm_rope_check(int d)
{
    if (d < 2 || d % 2 != 0) return GT_FAIL(GT_ERR_ARG, "rotation of heads of %d; expected an even width", d);
    return GT_OK;
}

gt_status gt_dropout_check(gt_dtype act, gt_dtype y_dtype, bool accumulate, gt_dtype in_dtype, float p,
                           uint64_t *threshold, bool *drop_all)
{
    if (!(p >= 0)) return GT_FAIL(GT_ERR_ARG, "dropout of %g; expected 0 to 1", (double)p);
    if (!act_or_f32(y_dtype, act) || !act_or_f32(in_dtype, act))
        return GT_FAIL(GT_ERR_ARG, "dropout from %s to %s; expected %s or F32", gt_dtype_name(in_dtype),
                       gt_dtype_name(y_dtype), gt_dtype_name(act));
    if (accumulate && y_dtype != GT_F32)
        return GT_FAIL(GT_ERR_ARG, "dropout accumulates into %s; expected F32", gt_dtype_name(y_dtype));
    *drop_all = p >= 1;
    *threshold = *drop_all ? 0 : (uint64_t)((double)p * 0x1p64); /* exact but for p below 2^-40 */
    return GT_OK;
}

gt_status gt_cast_check(gt_dtype act, gt_dtype y_dtype, gt_dtype in_dtype)
{
    if (!act_or_f32(y_dtype, act) || !act_or_f32(in_dtype, act))
        return GT_FAIL(GT_ERR_ARG, "cast from %s to %s; expected %s or F32", gt_dtype_name(in_dtype),
                       gt_dtype_name(y_dtype), gt_dtype_name(act));
    return GT_OK;
}

gt_status gt_gather_check(const int32_t *row, int n)
{
    for (int i = 0; i < n; i++)
        if (row[i] < 0) return GT_FAIL(GT_ERR_ARG, "gathers row %d", (int)row[i]);
    return GT_OK;
}

gt_status gt_scatter_check(const int32_t *row, int n, int dst_rows)
{
    for (int i = 0; i < n; i++)
        if (row[i] < 0 || row[i] >= dst_rows)
            return GT_FAIL(GT_ERR_ARG, "scatters to row %d of %d", (int)row[i], dst_rows);
    return GT_OK;
}

gt_status gt_fix_add_check(int shift)
{
    if (shift < -1000 || shift > 1000)
        return GT_FAIL(GT_ERR_ARG, "fixed-point shift of %d; expected -1000 to 1000", shift);
    return GT_OK;
}
