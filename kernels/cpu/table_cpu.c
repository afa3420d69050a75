#include "table_cpu.h"

#include "checked.h"
#include "cpu_kernels.h"
#include "cpu_path.h"

static size_t scratch_bytes(const gt_kernel_dims *d)
{
    const size_t need[] = {gt_decode_weight_scratch_cpu(), gt_gemm_scratch_cpu(),
                           gt_attention_scratch_cpu(d->max_tokens, d->head_dim),
                           gt_attention_bwd_scratch_cpu(d->head_dim), gt_head_scratch_cpu(d->hidden)};
    size_t most = 0;
    for (size_t i = 0; i < sizeof need / sizeof *need; i++) most = gt_max_size(most, need[i]);
    return gt_align_up(most, 64);
}

/* A table is the same functions on every path (each looks the path up when it runs); only what it calls itself
 * differs. A slot a line. */
/* clang-format off */
#define TABLE(suffix, dtype, words)                                                                                    \
    {                                                                                                                  \
        .name = "cpu",                                                                                                 \
        .path = words,                                                                                                 \
        .act = dtype,                                                                                                  \
        .scratch_bytes = scratch_bytes,                                                                                \
        .embed = gt_embed_cpu_##suffix,                                                                                \
        .decode = gt_decode_cpu_##suffix,                                                                              \
        .decode_weight = gt_decode_weight_cpu_##suffix,                                                                \
        .gemm = gt_gemm_cpu_##suffix,                                                                                  \
        .rmsnorm = gt_rmsnorm_cpu_##suffix,                                                                            \
        .rmsnorm_add = gt_rmsnorm_add_cpu_##suffix,                                                                    \
        .rmsnorm_bwd = gt_rmsnorm_bwd_cpu_##suffix,                                                                    \
        .norm_rope = gt_norm_rope_cpu_##suffix,                                                                        \
        .norm_rope_bwd = gt_norm_rope_bwd_cpu_##suffix,                                                                \
        .attention = gt_attention_cpu_##suffix,                                                                        \
        .attention_bwd = gt_attention_bwd_cpu_##suffix,                                                                \
        .attention_bwd_buffer_bytes = gt_attention_bwd_buffer_bytes_cpu,                                               \
        .geglu = gt_geglu_cpu_##suffix,                                                                                \
        .geglu_bwd = gt_geglu_bwd_cpu_##suffix,                                                                        \
        .dropout = gt_dropout_cpu_##suffix,                                                                            \
        .cast = gt_cast_cpu_##suffix,                                                                                  \
        .gather_rows = gt_gather_rows_cpu_##suffix,                                                                    \
        .scatter_rows = gt_scatter_rows_cpu,                                                                           \
        .head_buffer_bytes = gt_head_buffer_bytes_cpu,                                                                 \
        .head_loss = gt_head_loss_cpu_##suffix,                                                                        \
        .head_logits = gt_head_logits_cpu_##suffix,                                                                    \
        .adamw = gt_adamw_cpu,                                                                                         \
        .fix_add = gt_fix_add_cpu,                                                                                     \
        .fix_get = gt_fix_get_cpu,                                                                                     \
        .sum_squares = gt_sum_squares_cpu,                                                                             \
    }
/* clang-format on */

static const gt_kernels f32_table[] = {
    TABLE(f32, GT_F32, "plain C"),         TABLE(f32, GT_F32, "avx2"),
    TABLE(f32, GT_F32, "avx512_core"),     TABLE(f32, GT_F32, "avx512_core_bf16"),
    TABLE(f32, GT_F32, "avx512_core_amx"),
};

static const gt_kernels bf16_table[] = {
    TABLE(bf16, GT_BF16, "plain C (bf16 by float32)"),
    TABLE(bf16, GT_BF16, "avx2 (bf16 by float32)"),
    TABLE(bf16, GT_BF16, "avx512_core (bf16 by float32)"),
    TABLE(bf16, GT_BF16, "avx512_core_bf16"),
    TABLE(bf16, GT_BF16, "avx512_core_amx"),
};

static const gt_kernels *table(gt_dtype act)
{
    gt_cpu_path path = gt_cpu_path_current();
    switch (act) {
    case GT_F32:
        return &f32_table[path];
    case GT_BF16:
        return &bf16_table[path];
    default:
        return NULL;
    }
}

static int path(const char **name)
{
    const gt_cpu_path now = gt_cpu_path_current();
    *name = gt_cpu_path_name(now);
    return (int)now;
}

static void lower(int to)
{
    gt_cpu_path_lower((gt_cpu_path)to);
}

const gt_backend_filling gt_backend_cpu = {.id = GT_BACKEND_CPU, .table = table, .path = path, .lower = lower};
