/* cpu_kernels.h - the operations of the backend `cpu`, as table_cpu.c puts them into its tables: <operation>_cpu_<act>,
 * or <operation>_cpu where there is no act. Seen by this folder, and by what tests one backend's function alone. */
#ifndef GT_CPU_KERNELS_H
#define GT_CPU_KERNELS_H

#include "table.h"

gt_embed_fn gt_embed_cpu_f32, gt_embed_cpu_bf16;
gt_decode_fn gt_decode_cpu_f32, gt_decode_cpu_bf16;
gt_decode_weight_fn gt_decode_weight_cpu_f32, gt_decode_weight_cpu_bf16;
gt_gemm_fn gt_gemm_cpu_f32, gt_gemm_cpu_bf16;

gt_rmsnorm_fn gt_rmsnorm_cpu_f32, gt_rmsnorm_cpu_bf16;
gt_rmsnorm_add_fn gt_rmsnorm_add_cpu_f32, gt_rmsnorm_add_cpu_bf16;
gt_rmsnorm_bwd_fn gt_rmsnorm_bwd_cpu_f32, gt_rmsnorm_bwd_cpu_bf16;
gt_norm_rope_fn gt_norm_rope_cpu_f32, gt_norm_rope_cpu_bf16;
gt_norm_rope_bwd_fn gt_norm_rope_bwd_cpu_f32, gt_norm_rope_bwd_cpu_bf16;

gt_attention_fn gt_attention_cpu_f32, gt_attention_cpu_bf16;
gt_attention_bwd_fn gt_attention_bwd_cpu_f32, gt_attention_bwd_cpu_bf16;
gt_attention_bwd_buffer_bytes_fn gt_attention_bwd_buffer_bytes_cpu; /* 8 KiB a token at the 270M */

gt_geglu_fn gt_geglu_cpu_f32, gt_geglu_cpu_bf16;
gt_geglu_bwd_fn gt_geglu_bwd_cpu_f32, gt_geglu_bwd_cpu_bf16;
gt_dropout_fn gt_dropout_cpu_f32, gt_dropout_cpu_bf16;
gt_cast_fn gt_cast_cpu_f32, gt_cast_cpu_bf16;
gt_gather_rows_fn gt_gather_rows_cpu_f32, gt_gather_rows_cpu_bf16;
gt_scatter_rows_fn gt_scatter_rows_cpu;

gt_head_loss_fn gt_head_loss_cpu_f32, gt_head_loss_cpu_bf16;
gt_head_logits_fn gt_head_logits_cpu_f32, gt_head_logits_cpu_bf16;
gt_head_buffer_bytes_fn gt_head_buffer_bytes_cpu;

gt_adamw_fn gt_adamw_cpu;
gt_fix_add_fn gt_fix_add_cpu;
gt_fix_get_fn gt_fix_get_cpu;
gt_sum_squares_fn gt_sum_squares_cpu;

/* Bytes of scratch a worker needs: any weight; any product; forward over documents or caches of up to `tokens` keys,
 * and backward; the head's loss and logits. */
size_t gt_decode_weight_scratch_cpu(void);
size_t gt_gemm_scratch_cpu(void);
size_t gt_attention_scratch_cpu(int tokens, int head_dim);
size_t gt_attention_bwd_scratch_cpu(int head_dim);
size_t gt_head_scratch_cpu(int hidden);

/* gt_decode_cpu_* on the calling thread, elements [first, first + count) of the flattened matrix: what tiled products
 * and the head call for their tiles. Any first and count for element formats and 4-bit codes; whole blocks for GGUF
 * formats. */
void gt_decode_span_cpu_f32(float *out, const gt_matrix *m, size_t first, size_t count);
void gt_decode_span_cpu_bf16(uint16_t *out, const gt_matrix *m, size_t first, size_t count);

#endif
