#include "lora.h"

#include "rng.h"

#include <math.h>
#include <string.h>

void gt_lora_layout(gt_lora *l, const gt_model_config *c, const int *ranks, const float *scalings)
{
    l->layers = c->num_hidden_layers;
    l->lowest_layer = l->layers;
    l->max_rank = 0;
    l->count = l->modules = 0;
    for (int i = 0; i < l->layers; i++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            gt_lora_slot *s = &l->slot[i][p];
            *s = (gt_lora_slot){.r = ranks[i * GT_PROJ_COUNT + p], .scaling = scalings[i * GT_PROJ_COUNT + p]};
            if (s->r == 0) continue;
            int out, in;
            gt_proj_shape(c, (gt_proj)p, &out, &in);
            s->a = l->count;
            s->b = s->a + (size_t)s->r * (size_t)in;
            l->count = s->b + (size_t)s->r * (size_t)out;
            l->modules++;
            if (s->r > l->max_rank) l->max_rank = s->r;
            if (i < l->lowest_layer) l->lowest_layer = i;
        }
    }
}

void gt_lora_carve(gt_lora *l, gt_arena *a, gt_dtype act)
{
    l->param = gt_arena_push(a, l->count, sizeof(float), "adapter.parameters");
    l->act = act == GT_F32 ? l->param
                           : gt_arena_push(a, l->count, (size_t)gt_dtype_block_bytes(act), "adapter.compute_copy");
}

static void fill_uniform(float *out, size_t n, uint64_t key, double bound)
{
    for (size_t j = 0; j < n; j++) out[j] = (float)(bound * (2.0 * gt_rng_uniform(key, j) - 1.0));
}

void gt_lora_init(gt_lora *l, const gt_model_config *c, uint64_t seed, gt_init_lora init)
{
    memset(l->param, 0, l->count * sizeof *l->param);
    uint64_t key = gt_rng_key(gt_rng_key(seed, 0x10ca), (uint64_t)init);
    for (int i = 0; i < l->layers; i++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            const gt_lora_slot *s = &l->slot[i][p];
            if (s->r == 0) continue;
            int out, in;
            gt_proj_shape(c, (gt_proj)p, &out, &in);
            const size_t r = (size_t)s->r, a = r * (size_t)in, b = r * (size_t)out;
            const uint64_t module = gt_rng_key(key, (uint64_t)(i * GT_PROJ_COUNT + p));
            if (init != GT_INIT_GAUSSIAN)
                fill_uniform(l->param + s->a, a, module, 1.0 / sqrt(in));
            else
                for (size_t j = 0; j < a; j++) l->param[s->a + j] = (float)(gt_rng_normal(module, j) / s->r);
            if (init == GT_INIT_RANDOM) fill_uniform(l->param + s->b, b, gt_rng_key(~module, 0xb), 1.0 / sqrt(s->r));
        }
    }
}

gt_status gt_lora_refresh(gt_lora *l, const gt_kernels *k, gt_exec *x)
{
    if (l->act == l->param) return GT_OK;
    return k->cast(x, l->act, k->act, l->param, GT_F32, l->count);
}

static const void *act_at(const gt_lora *l, const gt_kernels *k, size_t offset)
{
    return (const char *)l->act + offset * (size_t)gt_dtype_block_bytes(k->act);
}

/* The dropout stream of a projection: forward, recomputation and backward must draw the same numbers. */
static uint64_t module_key(const gt_lora *l, int layer, gt_proj p)
{
    return gt_rng_key(l->dropout_key, (uint64_t)(layer * GT_PROJ_COUNT + (int)p));
}

static bool drops(const gt_lora *l, const gt_lora_work *w)
{
    return l->dropout > 0 && w->row_key;
}

/* The adapter's input, through dropout in training. */
static gt_status adapter_input(const gt_lora *l, const gt_kernels *k, gt_exec *x, int layer, gt_proj p,
                               const void **out, const void *in, int n, int cols, const gt_lora_work *w)
{
    *out = in;
    if (!drops(l, w)) return GT_OK;
    *out = w->dropped;
    return k->dropout(x, w->dropped, k->act, false, in, k->act, w->row_key, module_key(l, layer, p), l->dropout, n,
                      cols);
}

/* w->t = drop(in) A^T, and drop(in) itself in *input. */
static gt_status low_rank(const gt_lora *l, const gt_kernels *k, gt_exec *x, int layer, gt_proj p, const void **input,
                          const void *in, int n, int cols, const gt_lora_work *w)
{
    const gt_lora_slot *s = &l->slot[layer][p];
    GT_TRY(adapter_input(l, k, x, layer, p, input, in, n, cols, w));
    return k->gemm(x, &(gt_gemm){.a = *input,
                                 .lda = cols,
                                 .b = act_at(l, k, s->a),
                                 .ldb = cols,
                                 .tb = true,
                                 .c = w->t,
                                 .ldc = s->r,
                                 .m = n,
                                 .n = s->r,
                                 .k = cols,
                                 .alpha = 1,
                                 .c_dtype = k->act});
}

gt_status gt_lora_forward(const gt_lora *l, const gt_kernels *k, gt_exec *x, const gt_model_config *c, int layer,
                          gt_proj p, void *out, const void *in, int n, const gt_lora_work *w)
{
    const gt_lora_slot *s = &l->slot[layer][p];
    if (s->r == 0) return GT_OK;
    int rows, cols;
    gt_proj_shape(c, p, &rows, &cols);
    const void *input;
    GT_TRY(low_rank(l, k, x, layer, p, &input, in, n, cols, w));
    return k->gemm(x, &(gt_gemm){.a = w->t,
                                 .lda = s->r,
                                 .b = act_at(l, k, s->b),
                                 .ldb = s->r,
                                 .tb = true,
                                 .c = out,
                                 .ldc = rows,
                                 .m = n,
                                 .n = rows,
                                 .k = s->r,
                                 .alpha = s->scaling,
                                 .beta = 1,
                                 .c_dtype = k->act});
}

gt_status gt_lora_backward(const gt_lora *l, const gt_kernels *k, gt_exec *x, const gt_model_config *c, int layer,
                           gt_proj p, float *grad, void *d_in, gt_dtype d_in_dtype, const void *d_out, const void *in,
                           int n, const gt_lora_work *w)
{
    const gt_lora_slot *s = &l->slot[layer][p];
    if (s->r == 0) return GT_OK;
    int rows, cols;
    gt_proj_shape(c, p, &rows, &cols);
    const void *input;
    GT_TRY(low_rank(l, k, x, layer, p, &input, in, n, cols, w));
    /* dB += s dout^T t */
    GT_TRY(k->gemm(x, &(gt_gemm){.a = d_out,
                                 .lda = rows,
                                 .ta = true,
                                 .b = w->t,
                                 .ldb = s->r,
                                 .c = grad + s->b,
                                 .ldc = s->r,
                                 .m = rows,
                                 .n = s->r,
                                 .k = n,
                                 .alpha = s->scaling,
                                 .beta = 1,
                                 .c_dtype = GT_F32}));
    /* dt = s dout B;  dA += dt^T drop(in) */
    GT_TRY(k->gemm(x, &(gt_gemm){.a = d_out,
                                 .lda = rows,
                                 .b = act_at(l, k, s->b),
                                 .ldb = s->r,
                                 .c = w->t,
                                 .ldc = s->r,
                                 .m = n,
                                 .n = s->r,
                                 .k = rows,
                                 .alpha = s->scaling,
                                 .c_dtype = k->act}));
    GT_TRY(k->gemm(x, &(gt_gemm){.a = w->t,
                                 .lda = s->r,
                                 .ta = true,
                                 .b = input,
                                 .ldb = cols,
                                 .c = grad + s->a,
                                 .ldc = cols,
                                 .m = s->r,
                                 .n = cols,
                                 .k = n,
                                 .alpha = 1,
                                 .beta = 1,
                                 .c_dtype = GT_F32}));
    if (!d_in) return GT_OK;
    gt_gemm back = {.a = w->t,
                    .lda = s->r,
                    .b = act_at(l, k, s->a),
                    .ldb = cols,
                    .c = d_in,
                    .ldc = cols,
                    .m = n,
                    .n = cols,
                    .k = s->r,
                    .alpha = 1,
                    .beta = 1,
                    .c_dtype = d_in_dtype};
    if (!drops(l, w)) return k->gemm(x, &back);
    if (d_in_dtype != GT_F32) return GT_FAIL(GT_ERR_ARG, "the gradient behind dropout accumulates in float32 only");
    back.c = w->wide;
    back.beta = 0;
    GT_TRY(k->gemm(x, &back));
    return k->dropout(x, d_in, GT_F32, true, w->wide, GT_F32, w->row_key, module_key(l, layer, p), l->dropout, n, cols);
}
