/* exec.h - where an operation runs: the threads and scratch memory of the host today, a stream and a device arena when
 * the backend is a GPU. One per model in use; one operation at a time. */
#ifndef GT_EXEC_H
#define GT_EXEC_H

#include "pool.h"
#include "status.h"

#include <stddef.h>

/* What sizes scratch and buffers: the largest of everything that will be asked for. */
typedef struct {
    int hidden, inter, heads, kv_heads, head_dim, vocab, lora_rank;
    int max_tokens; /* rows of a call, and keys of one document or cache */
} gt_kernel_dims;

typedef struct gt_exec {
    gt_pool *pool;         /* NULL: the calling thread only */
    void *scratch;         /* [workers][scratch_stride] bytes, 64-byte aligned; owned by whoever made the exec */
    size_t scratch_stride; /* at least gt_kernels.scratch_bytes(dims) of the table in use */
} gt_exec;

static inline void *gt_exec_scratch(const gt_exec *x, int worker)
{
    return (char *)x->scratch + (size_t)worker * x->scratch_stride;
}

#endif
