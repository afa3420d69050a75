#include "model.h"

#include "checked.h"
#include "pass.h"
#include "rope_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    gt_model *m; /* its kernel table is chosen */
    const gt_weights *w;
    const gt_model_options *o;
    int threads;
} carving;

/* The one place that says how large the model's own memory is. */
static void carve(void *context, gt_arena *a)
{
    const carving *c = context;
    gt_model *m = c->m;
    const gt_kernel_dims dims =
        gt_pass_kernel_dims(&c->w->config, gt_max_int(c->o->max_tokens, c->o->positions), c->o->lora_rank);
    const size_t positions = (size_t)c->o->positions, half = (size_t)c->w->config.head_dim / 2;
    for (int i = 0; i < 2; i++) {
        m->rope_cos[i] = gt_arena_push(a, positions, half * sizeof(float), "model.rope");
        m->rope_sin[i] = gt_arena_push(a, positions, half * sizeof(float), "model.rope");
    }
    m->resident.slot = gt_arena_push(a, gt_resident_slot_bytes(c->w, m->k->act), 1, "model.decoded_layer");
    m->x.scratch_stride = gt_align_up(m->k->scratch_bytes(&dims), 4096);
    m->x.scratch = gt_arena_push(a, (size_t)c->threads, m->x.scratch_stride, "kernels.scratch");
}

gt_status gt_model_plan(gt_arena *plan, const gt_weights *w, const gt_model_options *o)
{
    gt_model probe;
    memset(&probe, 0, sizeof probe);
    GT_TRY(gt_kernels_get(&probe.k, o->backend, o->act));
    carve(&(carving){&probe, w, o, gt_pool_threads_for(o->threads)}, plan);
    return GT_OK;
}

/* What docs/model/gemma3.md sections 2.1, 2.3 and 2.4 compute once. */
static void fill_constants(gt_model *m, const gt_model_config *c, gt_dtype act)
{
    m->embed_multiplier = sqrtf((float)c->hidden_size);
    if (act == GT_BF16) m->embed_multiplier = gt_bf16_to_f32(gt_f32_to_bf16(m->embed_multiplier));
    m->attn_scale = (float)pow(c->query_pre_attn_scalar, -0.5);
    gt_rope_table(m->rope_cos[0], m->rope_sin[0], m->positions, c->head_dim, c->rope_local_base_freq, 1.0, act);
    gt_rope_table(m->rope_cos[1], m->rope_sin[1], m->positions, c->head_dim, c->rope_theta, c->rope_factor, act);
}

gt_status gt_model_create(gt_model **out, const gt_weights *w, const gt_model_options *o)
{
    const gt_model_config *c = &w->config;
    if (o->positions < 1 || o->positions > c->max_position_embeddings)
        return GT_FAIL(GT_ERR_CONFIG, "%d positions asked of a model that has %d (max_position_embeddings)",
                       o->positions, c->max_position_embeddings);
    gt_model *m = calloc(1, sizeof *m);
    if (!m) return GT_FAIL(GT_ERR_NOMEM, "no memory for a model");
    const int threads = gt_pool_threads_for(o->threads);
    gt_status st;
    GT_TRY_TO(st, gt_kernels_get(&m->k, o->backend, o->act), fail);
    GT_TRY_TO(st, gt_arena_build(&m->arena, carve, &(carving){m, w, o, threads}), fail);
    GT_TRY_TO(st, gt_pool_create(&m->x.pool, threads), fail);
    m->weights = w;
    m->config = c;
    m->positions = o->positions;
    m->resident.weights = w;
    m->resident.k = m->k;
    m->resident.x = &m->x;
    m->resident.held_layer = m->resident.slot_layer = -1;
    fill_constants(m, c, o->act);
    *out = m;
    return GT_OK;
fail:
    gt_model_destroy(m);
    return st;
}

void gt_model_destroy(gt_model *m)
{
    if (!m) return;
    gt_pool_destroy(m->x.pool);
    gt_arena_free(&m->arena);
    free(m);
}
