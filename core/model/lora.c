#include "lora.h"

#include "checked.h"
#include "linear.h"
#include "rng.h"

#include <math.h>
#include <string.h>

void gt_lora_layout(gt_lora *l, const gt_model_config *c, const int *ranks, const float *scalings)
{
    l->layers = c->num_hidden_layers;
    l->lowest_layer = l->layers;
    l->max_rank = 0;
    l->count = l->modules = 0;
    for (int i = 0; i < gt_slot_count(c); i++) {
        const gt_slot at = gt_slot_at(i);
        gt_lora_slot *s = &l->slot[at.layer][at.proj];
        *s = (gt_lora_slot){.r = ranks[i], .scaling = scalings[i]};
        if (s->r == 0) continue;
        int out, in;
        gt_proj_shape(c, at.proj, &out, &in);
        s->a = l->count;
        s->b = s->a + (size_t)s->r * (size_t)in;
        l->count = s->b + (size_t)s->r * (size_t)out;
        l->modules++;
        l->max_rank = gt_max_int(l->max_rank, s->r);
        l->lowest_layer = gt_min_int(l->lowest_layer, at.layer);
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
    const uint64_t key = gt_rng_key(gt_rng_key(seed, 0x10ca), (uint64_t)init);
    for (int i = 0; i < gt_slot_count(c); i++) {
        const gt_slot at = gt_slot_at(i);
        const gt_lora_slot *s = &l->slot[at.layer][at.proj];
        if (s->r == 0) continue;
        int out, in;
        gt_proj_shape(c, at.proj, &out, &in);
        const size_t r = (size_t)s->r, a = r * (size_t)in, b = r * (size_t)out;
        const uint64_t module = gt_rng_key(key, (uint64_t)i);
        if (init != GT_INIT_GAUSSIAN)
            fill_uniform(l->param + s->a, a, module, 1.0 / sqrt(in));
        else
            for (size_t j = 0; j < a; j++) l->param[s->a + j] = (float)(gt_rng_normal(module, j) / s->r);
        if (init == GT_INIT_RANDOM) fill_uniform(l->param + s->b, b, gt_rng_key(~module, 0xb), 1.0 / sqrt(s->r));
    }
}

gt_status gt_lora_refresh(gt_lora *l, const gt_kernels *k, gt_exec *x)
{
    if (l->act == l->param) return GT_OK;
    return k->cast(x, l->act, k->act, l->param, GT_F32, l->count);
}

static const gt_lora_slot *slot_of(const gt_lora_call *c)
{
    return &c->lora->slot[c->slot.layer][c->slot.proj];
}

/* A [r, in] and B [out, r] in the compute dtype. */
typedef struct {
    gt_linear_weight a, b;
} pair;

static pair pair_of(const gt_lora_call *c)
{
    const gt_lora_slot *s = slot_of(c);
    const char *act = c->lora->act;
    const size_t bytes = (size_t)gt_dtype_block_bytes(c->k->act);
    int out, in;
    gt_proj_shape(c->config, c->slot.proj, &out, &in);
    return (pair){.a = {.at = act + s->a * bytes, .out = s->r, .in = in},
                  .b = {.at = act + s->b * bytes, .out = out, .in = s->r}};
}

static bool drops(const gt_lora_call *c)
{
    return c->lora->dropout > 0 && c->work.row_key;
}

/* Inverted dropout with the mask of this projection: forward, recomputation and backward draw the same numbers. */
static gt_status drop(const gt_lora_call *c, void *y, gt_dtype y_dtype, bool add, const void *in, gt_dtype in_dtype,
                      int cols)
{
    const uint64_t module_key = gt_rng_key(c->lora->dropout_key, (uint64_t)gt_slot_index(c->slot));
    return c->k->dropout(c->x, y, y_dtype, add, in, in_dtype, c->work.row_key, module_key, c->lora->dropout, c->n,
                         cols);
}

/* t = drop(in) A^T into work.t; *dropped is drop(in). */
static gt_status low_rank(const gt_lora_call *c, const gt_linear_rows *rows, gt_linear_weight a, const void **dropped,
                          const void *in)
{
    const gt_dtype act = c->k->act;
    *dropped = in;
    if (drops(c)) {
        GT_TRY(drop(c, c->work.dropped, act, false, in, act, a.in));
        *dropped = c->work.dropped;
    }
    return gt_linear(rows, (gt_linear_sum){c->work.t, act, .scale = 1}, *dropped, a);
}

gt_status gt_lora_forward(const gt_lora_call *c, void *out, const void *in)
{
    if (slot_of(c)->r == 0) return GT_OK;
    const gt_linear_rows rows = {c->k, c->x, c->n};
    const pair w = pair_of(c);
    const void *dropped;
    GT_TRY(low_rank(c, &rows, w.a, &dropped, in));
    return gt_linear(&rows, (gt_linear_sum){out, c->k->act, slot_of(c)->scaling, .add = true}, c->work.t, w.b);
}

gt_status gt_lora_backward(const gt_lora_call *c, float *grad, void *d_in, gt_dtype d_in_dtype, const void *d_out,
                           const void *in)
{
    const gt_lora_slot *s = slot_of(c);
    if (s->r == 0) return GT_OK;
    const gt_linear_rows rows = {c->k, c->x, c->n};
    const pair w = pair_of(c);
    void *t = c->work.t, *dt = t; /* t is dead behind dB */
    const void *dropped;
    GT_TRY(low_rank(c, &rows, w.a, &dropped, in));
    GT_TRY(gt_linear_dw(&rows, (gt_linear_sum){grad + s->b, GT_F32, s->scaling, .add = true}, d_out, t, w.b));
    GT_TRY(gt_linear_dx(&rows, (gt_linear_sum){dt, c->k->act, .scale = s->scaling}, d_out, w.b));
    GT_TRY(gt_linear_dw(&rows, (gt_linear_sum){grad + s->a, GT_F32, 1, .add = true}, dt, dropped, w.a));
    if (!d_in) return GT_OK;
    if (!drops(c)) return gt_linear_dx(&rows, (gt_linear_sum){d_in, d_in_dtype, 1, .add = true}, dt, w.a);
    if (d_in_dtype != GT_F32) return GT_FAIL(GT_ERR_ARG, "the gradient behind dropout accumulates in float32 only");
    GT_TRY(gt_linear_dx(&rows, (gt_linear_sum){c->work.wide, GT_F32, .scale = 1}, dt, w.a));
    return drop(c, d_in, GT_F32, true, c->work.wide, GT_F32, w.a.in);
}
