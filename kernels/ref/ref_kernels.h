/* ref_kernels.h - the operations of the backend `ref`, as table_ref.c puts them into its tables: <operation>_ref_<act>,
 * or <operation>_ref where there is no act. Seen by this folder, and by what tests one backend's function alone. */
#ifndef GT_REF_KERNELS_H
#define GT_REF_KERNELS_H

#include "table.h"

gt_embed_fn gt_embed_ref_f32, gt_embed_ref_bf16, gt_embed_ref_f64;
gt_decode_fn gt_decode_ref_f32, gt_decode_ref_bf16, gt_decode_ref_f64;
gt_decode_weight_fn gt_decode_weight_ref_f32, gt_decode_weight_ref_bf16, gt_decode_weight_ref_f64;
gt_gemm_fn gt_gemm_ref_f32, gt_gemm_ref_bf16, gt_gemm_ref_f64;

gt_rmsnorm_fn gt_rmsnorm_ref_f32, gt_rmsnorm_ref_bf16, gt_rmsnorm_ref_f64;
gt_rmsnorm_add_fn gt_rmsnorm_add_ref_f32, gt_rmsnorm_add_ref_bf16, gt_rmsnorm_add_ref_f64;
gt_rmsnorm_bwd_fn gt_rmsnorm_bwd_ref_f32, gt_rmsnorm_bwd_ref_bf16, gt_rmsnorm_bwd_ref_f64;
gt_norm_rope_fn gt_norm_rope_ref_f32, gt_norm_rope_ref_bf16, gt_norm_rope_ref_f64;
gt_norm_rope_bwd_fn gt_norm_rope_bwd_ref_f32, gt_norm_rope_bwd_ref_bf16, gt_norm_rope_bwd_ref_f64;

gt_attention_fn gt_attention_ref_f32, gt_attention_ref_bf16, gt_attention_ref_f64;
gt_attention_bwd_fn gt_attention_bwd_ref_f32, gt_attention_bwd_ref_bf16, gt_attention_bwd_ref_f64;
gt_attention_bwd_buffer_bytes_fn gt_attention_bwd_buffer_bytes_ref;

gt_geglu_fn gt_geglu_ref_f32, gt_geglu_ref_bf16, gt_geglu_ref_f64;
gt_geglu_bwd_fn gt_geglu_bwd_ref_f32, gt_geglu_bwd_ref_bf16, gt_geglu_bwd_ref_f64;
gt_dropout_fn gt_dropout_ref_f32, gt_dropout_ref_bf16, gt_dropout_ref_f64;
gt_cast_fn gt_cast_ref_f32, gt_cast_ref_bf16, gt_cast_ref_f64;
gt_gather_rows_fn gt_gather_rows_ref_f32, gt_gather_rows_ref_bf16, gt_gather_rows_ref_f64;
gt_scatter_rows_fn gt_scatter_rows_ref;

gt_head_loss_fn gt_head_loss_ref_f32, gt_head_loss_ref_bf16, gt_head_loss_ref_f64;
gt_head_logits_fn gt_head_logits_ref_f32, gt_head_logits_ref_bf16, gt_head_logits_ref_f64;
gt_head_buffer_bytes_fn gt_head_buffer_bytes_ref;

gt_adamw_fn gt_adamw_ref;
gt_fix_add_fn gt_fix_add_ref;
gt_fix_get_fn gt_fix_get_ref;
gt_sum_squares_fn gt_sum_squares_ref;

/* Bytes of scratch a worker needs: the head for a row of E, attention for documents of up to `tokens` keys: a row of
 * scores forward, 2 len (d + 1) doubles backward. */
size_t gt_head_scratch_ref(int hidden);
size_t gt_attention_scratch_ref(int tokens, int head_dim);

#endif
