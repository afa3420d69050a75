/* table.h - the operations a model is made of: one table per backend and compute dtype, chosen once, every slot filled.
 *
 * "act" is the table's compute dtype: activations, decoded weights and the operands of products are stored in it.
 *   GT_F32  the reference mode        GT_BF16  the training mode        GT_F64  `ref` only: finite differences
 * The order of roundings in GT_BF16 is that of docs/model/gemma3.md section 2 (the transformers eager path).
 * Here stands what each slot computes; <family>.h has its arguments, shapes, roundings and errors.
 *
 * Rules for every slot:
 *  - all memory is the caller's; a kernel allocates nothing and uses only x's scratch;
 *  - results do not depend on the number of threads, nor on which worker ran what (bit for bit);
 *  - zero rows are fine; matrices are row-major; "ld" is the distance between rows in elements;
 *  - GT_ERR_DEVICE when a compute library fails, GT_ERR_ARG on a shape it cannot do. */
#ifndef GT_TABLE_H
#define GT_TABLE_H

#include "adamw.h"
#include "attention.h"
#include "decode.h"
#include "dropout.h"
#include "elementwise.h"
#include "embed.h"
#include "exec.h"
#include "matmul.h"
#include "mlp.h"
#include "norm.h"
#include "reduce.h"
#include "rope.h"
#include "xent.h"

typedef struct gt_kernels {
    const char *name; /* "ref", "cpu" */
    /* What was chosen at run time: "plain C", "avx512_core_bf16", "avx2 (bf16 by float32)" ...: part of the numerics,
     * recorded in checkpoints. */
    const char *path;
    gt_dtype act;

    /* From here on functions only: no slot is NULL. Bytes of scratch a worker needs so that no operation within dims
     * fails: */
    size_t (*scratch_bytes)(const gt_kernel_dims *dims);

    /* embed.h: out[t] = round(E[ids[t]] * multiplier) */
    gt_embed_fn *embed;

    /* decode.h: rows of a stored weight to act; a whole weight in the order in which gemm reads it fastest */
    gt_decode_fn *decode;
    gt_decode_weight_fn *decode_weight;

    /* matmul.h: C = alpha op(A) op(B) + beta C */
    gt_gemm_fn *gemm;

    /* norm.h: y = round(x * r * g), r = 1 / sqrt(mean x^2 + eps), g = 1 + w; out = round(residual + round(norm(in))),
     * behind a post-norm; and dx from dy at x */
    gt_rmsnorm_fn *rmsnorm;
    gt_rmsnorm_add_fn *rmsnorm_add;
    gt_rmsnorm_bwd_fn *rmsnorm_bwd;

    /* rope.h: per token and head, y = rope(norm(in; g)); and d_in = norm backward(rope^T(dy)) at in */
    gt_norm_rope_fn *norm_rope;
    gt_norm_rope_bwd_fn *norm_rope_bwd;

    /* attention.h: o = softmax(mask(scale q k^T)) v; dq, dk, dv from d_o, with a buffer of the bytes named */
    gt_attention_fn *attention;
    gt_attention_bwd_fn *attention_bwd;
    gt_attention_bwd_buffer_bytes_fn *attention_bwd_buffer_bytes;

    /* mlp.h: h = round(round(gelu(gate)) * up); and dgate, dup from dh */
    gt_geglu_fn *geglu;
    gt_geglu_bwd_fn *geglu_bwd;

    /* dropout.h: y = keep(row, col) ? in / (1 - p) : 0 */
    gt_dropout_fn *dropout;

    /* elementwise.h: y[i] = round(in[i]); y[i, :] = in[row[i], :]; dst[row[i], :] += src[i, :] */
    gt_cast_fn *cast;
    gt_gather_rows_fn *gather_rows;
    gt_scatter_rows_fn *scatter_rows;

    /* xent.h: z = xf E^T, loss = logsumexp(z) - z[target], dxf = (softmax(z) - onehot(target)) E; and z itself; both
     * with a buffer of the bytes named */
    gt_head_loss_fn *head_loss;
    gt_head_logits_fn *head_logits;
    gt_head_buffer_bytes_fn *head_buffer_bytes;

    /* adamw.h: one step of decoupled AdamW on f32 */
    gt_adamw_fn *adamw;

    /* reduce.h: sum += round(g 2^shift), exact in 64-bit fixed point; g = sum * scale; sum g^2 in an order that n
     * fixes */
    gt_fix_add_fn *fix_add;
    gt_fix_get_fn *fix_get;
    gt_sum_squares_fn *sum_squares;
} gt_kernels;

/* The backends a program may be built with. AUTO is the fastest of them that this machine runs (cpu). */
typedef enum { GT_BACKEND_AUTO, GT_BACKEND_CPU, GT_BACKEND_REF, GT_BACKEND_COUNT } gt_backend;

/* What they are asked for by, in that order; NULL ends the list. Whether the program has them is another matter. */
extern const char *const gt_backend_names[GT_BACKEND_COUNT + 1];

/* What a backend hands in, static storage throughout. A path is an instruction set, or a generation of a device, that
 * it can be held to: numbered upwards from 0, each with all that the ones below it have. */
typedef struct {
    gt_backend id;                            /* not AUTO */
    const gt_kernels *(*table)(gt_dtype act); /* for the path in use; NULL: none for that dtype */
    int (*path)(const char **name);           /* the path in use and its name; NULL: there is only one */
    void (*lower)(int path);                  /* to a lower path, before the first operation; NULL with path */
} gt_backend_filling;

/* Makes a backend known; the last one offered under an id counts. Before any other call here, on one thread: this
 * folder calls no backend, so the program offers what it was linked with (backends.h). */
void gt_kernels_offer(const gt_backend_filling *filling);

/* The table of a backend for a compute dtype; static storage. GT_ERR_CONFIG: the program offers no such backend, or it
 * has no such table (F64 exists in ref only). */
gt_status gt_kernels_get(const gt_kernels **out, gt_backend backend, gt_dtype act);

/* The path a backend uses, and *name, static: what it is called, or the backend's name where it has one path only
 * (0). Part of the numerics: ranks on unlike machines agree on the lowest and call gt_kernels_lower, which never
 * raises it, before the first operation and before gt_kernels_get. "?" for a backend that is not offered. */
int gt_kernels_path(gt_backend backend, const char **name);
void gt_kernels_lower(gt_backend backend, int path);

#endif
