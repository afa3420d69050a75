#include "table_ref.h"

#include "checked.h"
#include "ref_access.h"
#include "ref_kernels.h"

static size_t scratch_bytes(const gt_kernel_dims *d)
{
    return gt_align_up(
        gt_max_size(gt_head_scratch_ref(d->hidden), gt_attention_scratch_ref(d->max_tokens, d->head_dim)), 64);
}

/* A slot a line. */
/* clang-format off */
#define TABLE(suffix, dtype)                                                                                           \
    static const gt_kernels table_##suffix = {                                                                         \
        .name = "ref",                                                                                                 \
        .path = "plain C, double",                                                                                     \
        .act = dtype,                                                                                                  \
        .scratch_bytes = scratch_bytes,                                                                                \
        .embed = gt_embed_ref_##suffix,                                                                                \
        .decode = gt_decode_ref_##suffix,                                                                              \
        .decode_weight = gt_decode_weight_ref_##suffix,                                                                \
        .gemm = gt_gemm_ref_##suffix,                                                                                  \
        .rmsnorm = gt_rmsnorm_ref_##suffix,                                                                            \
        .rmsnorm_add = gt_rmsnorm_add_ref_##suffix,                                                                    \
        .rmsnorm_bwd = gt_rmsnorm_bwd_ref_##suffix,                                                                    \
        .norm_rope = gt_norm_rope_ref_##suffix,                                                                        \
        .norm_rope_bwd = gt_norm_rope_bwd_ref_##suffix,                                                                \
        .attention = gt_attention_ref_##suffix,                                                                        \
        .attention_bwd = gt_attention_bwd_ref_##suffix,                                                                \
        .attention_bwd_buffer_bytes = gt_attention_bwd_buffer_bytes_ref,                                               \
        .geglu = gt_geglu_ref_##suffix,                                                                                \
        .geglu_bwd = gt_geglu_bwd_ref_##suffix,                                                                        \
        .dropout = gt_dropout_ref_##suffix,                                                                            \
        .cast = gt_cast_ref_##suffix,                                                                                  \
        .gather_rows = gt_gather_rows_ref_##suffix,                                                                    \
        .scatter_rows = gt_scatter_rows_ref,                                                                           \
        .head_loss = gt_head_loss_ref_##suffix,                                                                        \
        .head_logits = gt_head_logits_ref_##suffix,                                                                    \
        .head_buffer_bytes = gt_head_buffer_bytes_ref,                                                                 \
        .adamw = gt_adamw_ref,                                                                                         \
        .fix_add = gt_fix_add_ref,                                                                                     \
        .fix_get = gt_fix_get_ref,                                                                                     \
        .sum_squares = gt_sum_squares_ref,                                                                             \
    };
/* clang-format on */
GT_REF_EACH(TABLE)

static const gt_kernels *table(gt_dtype act)
{
    switch (act) {
    case GT_F32:
        return &table_f32;
    case GT_BF16:
        return &table_bf16;
    case GT_F64:
        return &table_f64;
    default:
        return NULL;
    }
}

const gt_backend_filling gt_backend_ref = {.id = GT_BACKEND_REF, .table = table};
