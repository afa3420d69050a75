#include "tiny.h"

#include "nf4.h"
#include "testing.h"

#include <stdlib.h>
#include <string.h>

static void *quantize_one(gt_matrix *m)
{
    const size_t n = (size_t)m->rows * (size_t)m->cols, nb = gt_nf4_blocks(n, GT_NF4_BLOCK);
    const size_t nb2 = gt_nf4_blocks(nb, GT_NF4_BLOCK2);
    float *w = malloc(n * sizeof *w), *absmax = malloc(nb * sizeof *absmax);
    float *block = malloc((256 + nb2) * sizeof(float) + nb + (n + 1) / 2);
    assert_non_null(w);
    assert_non_null(absmax);
    assert_non_null(block);
    gt_exec alone = {0};
    const gt_kernels *k;
    assert_ok(gt_kernels_get(&k, GT_BACKEND_REF, GT_F32));
    assert_ok(k->decode(&alone, w, m, 0, m->rows));
    float *code2 = block, *absmax2 = block + 256;
    uint8_t *absmax8 = (uint8_t *)(absmax2 + nb2), *codes = absmax8 + nb;
    gt_nf4_code2(code2);
    assert_true(gt_nf4_quantize(codes, absmax, w, n));
    const float offset = gt_nf4_offset(absmax, nb);
    gt_nf4_nest(absmax8, absmax2, absmax, nb, offset, code2);
    *m = (gt_matrix){.data = codes,
                     .dtype = GT_NF4,
                     .rows = m->rows,
                     .cols = m->cols,
                     .block = GT_NF4_BLOCK,
                     .code = gt_nf4_code,
                     .absmax8 = absmax8,
                     .absmax2 = absmax2,
                     .code2 = code2,
                     .block2 = GT_NF4_BLOCK2,
                     .offset = offset,
                     .round_to = GT_F32};
    free(w);
    free(absmax);
    return block;
}

void quantize_in_memory(tiny_quantized *q, gt_weights *w)
{
    memset(q, 0, sizeof *q);
    for (int l = 0; l < w->config.num_hidden_layers; l++)
        for (int p = 0; p < GT_PROJ_COUNT; p++) q->block[l][p] = quantize_one(&w->proj[l][p]);
}

void free_quantized(tiny_quantized *q)
{
    for (int l = 0; l < GT_MAX_LAYERS; l++)
        for (int p = 0; p < GT_PROJ_COUNT; p++) free(q->block[l][p]);
}

typedef struct {
    tiny_run *r;
    const gt_pass_options *o;
} carving;

static void carve(void *context, gt_arena *a)
{
    const carving *c = context;
    gt_pass_carve(&c->r->pass, a, c->r->m->weights, c->r->m->k, c->o);
}

void tiny_open(tiny_run *r, const gt_weights *w, gt_backend backend, gt_dtype act, int threads, gt_lora *lora,
               const gt_pass_options *o, int positions)
{
    gt_pass_options options = *o;
    if (lora) options.lora_rank = lora->max_rank;
    if (lora) options.dropout = lora->dropout > 0;
    memset(r, 0, sizeof *r);
    assert_ok(gt_model_create(&r->m, w,
                              &(gt_model_options){.backend = backend,
                                                  .act = act,
                                                  .threads = threads,
                                                  .positions = positions,
                                                  .max_tokens = o->max_tokens,
                                                  .lora_rank = options.lora_rank}));
    r->m->lora = lora;
    assert_ok(gt_arena_build(&r->arena, carve, &(carving){r, &options}));
}

void tiny_close(tiny_run *r)
{
    gt_model_destroy(r->m);
    gt_arena_free(&r->arena);
}

void tiny_batch(gt_batch *b, const int32_t *ids, int n, int first_label)
{
    gt_sample s = {.ids = (int32_t *)(uintptr_t)ids, .n = n};
    s.label = calloc((size_t)n, 1);
    assert_non_null(s.label);
    if (first_label > 0)
        for (int p = first_label; p < n; p++) s.label[p] = 1;
    const gt_sample *one = &s;
    assert_ok(gt_batch_build(b, &one, 1));
    free(s.label);
}
