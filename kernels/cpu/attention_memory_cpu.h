/* attention_memory_cpu.h - memory of the cpu attention; the operations are in attention.h. */
#ifndef GT_ATTENTION_MEMORY_CPU_H
#define GT_ATTENTION_MEMORY_CPU_H

#include "table.h"

/* Bytes a worker needs: forward over documents or caches of up to `tokens` keys, and backward. */
size_t gt_attention_cpu_scratch(int tokens, int head_dim);
size_t gt_attention_bwd_cpu_scratch(int head_dim);

/* gt_kernels.attention_bwd_buffer_bytes: float32 partials of dK and dV, 8 KiB a token at the 270M. */
size_t gt_attention_bwd_cpu_buffer_bytes(const gt_kernel_dims *dims);

#endif
