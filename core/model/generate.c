#include "generate.h"

#include "checked.h"

#include <string.h>

/* Prompt tokens of one pass at most, whatever the caller's chunk. */
enum { MOST = 512 };

typedef struct {
    gt_generator *g;
    int capacity, chunk;
} carving;

static void carve(void *context, gt_arena *a)
{
    const carving *c = context;
    gt_generator *g = c->g;
    const gt_model *m = g->m;
    gt_pass_carve(
        &g->pass, a, m->weights, m->k,
        &(gt_pass_options){
            .max_tokens = c->chunk, .max_documents = 1, .head_rows = 1, .lora_rank = m->lora ? m->lora->max_rank : 0});
    gt_kv_source_carve(&g->kv, a, m->config, m->k->act, c->capacity);
    g->logits = gt_arena_push(a, (size_t)m->config->vocab_size, sizeof(float), "generate.logits");
    g->scratch = gt_arena_push(a, (size_t)m->config->vocab_size, sizeof(gt_candidate), "generate.candidates");
}

gt_status gt_generator_create(gt_generator *g, gt_model *m, int capacity, int chunk)
{
    memset(g, 0, sizeof *g);
    g->m = m;
    if (capacity < 1 || capacity > m->positions)
        return GT_FAIL(GT_ERR_CONFIG, "%d tokens; this model was opened for %d positions", capacity, m->positions);
    return gt_arena_build(&g->arena, carve, &(carving){g, capacity, chunk});
}

void gt_generator_destroy(gt_generator *g)
{
    gt_arena_free(&g->arena);
}

/* Feeds ids through the model; the last one's logits are left in g->logits. */
static gt_status feed(gt_generator *g, const int32_t *ids, int n)
{
    int32_t pos[MOST], begin[2] = {0, 0};
    const uint64_t sample = 0;
    const gt_span_source source = {.kv = &g->kv, .lora = g->m->lora};
    for (int now = 0; n > 0; ids += now, n -= now) {
        now = gt_min_int(gt_min_int(n, g->pass.max_tokens), MOST);
        for (int i = 0; i < now; i++) pos[i] = g->kv.len + i;
        begin[1] = now;
        const gt_batch b = {
            .n = now, .ids = ids, .pos = pos, .docs = 1, .doc_begin = begin, .doc_sample = &sample, .longest = now};
        GT_TRY(gt_forward(g->m, &g->pass, &b, &(gt_forward_options){.source = &source}));
    }
    const int32_t last = begin[1] - 1;
    return gt_forward_logits(g->m, &g->pass, &last, 1, g->logits);
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
    if (n < 1 || max_new < 0 || max_new > g->kv.capacity - n)
        return GT_FAIL(GT_ERR_CONFIG, "a prompt of %d tokens and %d new ones; there is room for %d in all", n, max_new,
                       g->kv.capacity);
    g->kv.len = 0;
    if (max_new == 0) return GT_OK;
    GT_TRY(feed(g, prompt, n));
    for (;;) {
        const int32_t id = gt_sample_token(sampling, g->logits, g->m->config->vocab_size, (uint64_t)*made, g->scratch);
        ++*made;
        GT_TRY(sink(context, id));
        if (*made == max_new || ends(g->m->config, id)) return GT_OK;
        GT_TRY(feed(g, &id, 1));
    }
}
