#include "model.h"

#include "checked.h"
#include "resident.h"
#include "rope_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

gt_kernel_dims gt_model_kernel_dims(const gt_model_config *c, int max_tokens, int lora_rank)
{
    return (gt_kernel_dims){.hidden = c->hidden_size,
                            .inter = c->intermediate_size,
                            .heads = c->num_attention_heads,
                            .kv_heads = c->num_key_value_heads,
                            .head_dim = c->head_dim,
                            .vocab = c->vocab_size,
                            .max_tokens = max_tokens,
                            .lora_rank = lora_rank};
}

/* The one place that says how large the model's own memory is. */
static void carve(gt_model *m, gt_arena *a, const gt_weights *w, const gt_model_options *o, int threads)
{
    const gt_kernel_dims dims = gt_model_kernel_dims(&w->config, gt_max_int(o->max_tokens, o->positions), o->lora_rank);
    const size_t half = (size_t)w->config.head_dim / 2;
    for (int i = 0; i < 2; i++) {
        m->rope_cos[i] = gt_arena_push(a, (size_t)o->positions, half * sizeof(float), "model.rope");
        m->rope_sin[i] = gt_arena_push(a, (size_t)o->positions, half * sizeof(float), "model.rope");
    }
    m->slot = gt_arena_push(a, gt_resident_slot_bytes(w, m->k->act), 1, "model.decoded_layer");
    m->x.scratch_stride = gt_align_up(m->k->scratch_bytes(&dims), 4096);
    m->x.scratch = gt_arena_push(a, (size_t)threads, m->x.scratch_stride, "kernels.scratch");
}

static int threads_of(const gt_model_options *o)
{
    return o->threads > 0 ? o->threads : gt_pool_default_threads();
}

gt_status gt_model_plan(gt_arena *plan, const gt_weights *w, const gt_model_options *o)
{
    gt_model probe;
    memset(&probe, 0, sizeof probe);
    GT_TRY(gt_kernels_get(&probe.k, o->backend, o->act));
    carve(&probe, plan, w, o, threads_of(o));
    return GT_OK;
}

gt_status gt_model_create(gt_model **out, const gt_weights *w, const gt_model_options *o)
{
    const gt_model_config *c = &w->config;
    if (o->positions < 1 || o->positions > c->max_position_embeddings)
        return GT_FAIL(GT_ERR_CONFIG, "%d positions asked of a model that has %d (max_position_embeddings)",
                       o->positions, c->max_position_embeddings);
    gt_model *m = calloc(1, sizeof *m);
    if (!m) return GT_FAIL(GT_ERR_NOMEM, "no memory for a model");
    const int threads = threads_of(o);
    gt_arena plan;
    gt_arena_measure(&plan);
    gt_status st;
    GT_TRY_TO(st, gt_kernels_get(&m->k, o->backend, o->act), fail);
    carve(m, &plan, w, o, threads);
    GT_TRY_TO(st, gt_arena_status(&plan), fail);
    GT_TRY_TO(st, gt_arena_create(&m->arena, plan.used), fail);
    carve(m, &m->arena, w, o, threads);
    GT_TRY_TO(st, gt_arena_status(&m->arena), fail);
    GT_TRY_TO(st, gt_pool_create(&m->x.pool, threads), fail);
    m->weights = w;
    m->config = c;
    m->held_layer = m->slot_layer = -1;
    m->positions = o->positions;
    m->embed_multiplier = sqrtf((float)c->hidden_size);
    if (o->act == GT_BF16) m->embed_multiplier = gt_bf16_to_f32(gt_f32_to_bf16(m->embed_multiplier));
    m->attn_scale = (float)pow(c->query_pre_attn_scalar, -0.5);
    gt_rope_table(m->rope_cos[0], m->rope_sin[0], o->positions, c->head_dim, c->rope_local_base_freq, 1.0, o->act);
    gt_rope_table(m->rope_cos[1], m->rope_sin[1], o->positions, c->head_dim, c->rope_theta, c->rope_factor, o->act);
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
