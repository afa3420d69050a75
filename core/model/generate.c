#include "generate.h"

#include "checked.h"

#include <string.h>

static void carve(gt_generator *g, gt_arena *a, int capacity, int chunk)
{
    const gt_model *m = g->m;
    gt_pass_carve(&g->pass, a, m->weights, m->k, m->lora,
                  &(gt_pass_options){.max_tokens = chunk, .max_documents = 1, .head_rows = 1});
    gt_kv_cache_carve(&g->cache, a, m->config, m->k->act, capacity);
    g->logits = gt_arena_push(a, (size_t)m->config->vocab_size, sizeof(float), "generate.logits");
    g->scratch = gt_arena_push(a, (size_t)m->config->vocab_size, sizeof(gt_candidate), "generate.candidates");
}

gt_status gt_generator_create(gt_generator *g, gt_model *m, int capacity, int chunk)
{
    memset(g, 0, sizeof *g);
    g->m = m;
    if (capacity < 1 || capacity > m->positions)
        return GT_FAIL(GT_ERR_CONFIG, "%d tokens; this model was opened for %d positions", capacity, m->positions);
    gt_arena plan;
    gt_arena_measure(&plan);
    carve(g, &plan, capacity, chunk);
    GT_TRY(gt_arena_status(&plan));
    GT_TRY(gt_arena_create(&g->arena, plan.used));
    carve(g, &g->arena, capacity, chunk);
    return gt_arena_status(&g->arena);
}

void gt_generator_destroy(gt_generator *g)
{
    gt_arena_free(&g->arena);
}

/* Feeds ids through the model; the last one's logits are left in g->logits when wanted. */
static gt_status feed(gt_generator *g, const int32_t *ids, int n, bool want_logits)
{
    int32_t pos[512], begin[2] = {0, 0};
    const uint64_t sample = 0;
    while (n > 0) {
        const int now = gt_min_int(gt_min_int(n, g->pass.max_tokens), 512);
        for (int i = 0; i < now; i++) pos[i] = g->cache.len + i;
        begin[1] = now;
        const gt_batch b = {
            .n = now, .ids = ids, .pos = pos, .docs = 1, .doc_begin = begin, .doc_sample = &sample, .longest = now};
        GT_TRY(gt_forward(g->m, &g->pass, &b, &(gt_forward_options){.cache = &g->cache}));
        ids += now;
        n -= now;
        const int32_t last = now - 1;
        if (n == 0 && want_logits) GT_TRY(gt_forward_logits(g->m, &g->pass, &last, 1, g->logits));
    }
    return GT_OK;
}

static bool ends(const gt_model_config *c, int32_t id)
{
    for (int i = 0; i < c->eos_count; i++)
        if (c->eos_id[i] == id) return true;
    return false;
}

gt_status gt_generate(gt_generator *g, const int32_t *prompt, int n, int max_new, const gt_sampling *sampling,
                      gt_token_sink sink, void *context, int *made)
{
    *made = 0;
    if (n < 1 || max_new < 0 || max_new > g->cache.capacity - n)
        return GT_FAIL(GT_ERR_CONFIG, "a prompt of %d tokens and %d new ones; there is room for %d in all", n, max_new,
                       g->cache.capacity);
    g->cache.len = 0;
    if (max_new == 0) return GT_OK;
    GT_TRY(feed(g, prompt, n, true));
    for (;;) {
        const int32_t id = gt_sample_token(sampling, g->logits, g->m->config->vocab_size, (uint64_t)*made, g->scratch);
        ++*made;
        GT_TRY(sink(context, id));
        if (*made == max_new || ends(g->m->config, id)) return GT_OK;
        GT_TRY(feed(g, &id, 1, true));
    }
}
