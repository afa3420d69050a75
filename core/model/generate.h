/* generate.h - continuing one sequence, whose keys and values are kept in one run of memory. */
#ifndef GT_GENERATE_H
#define GT_GENERATE_H

#include "forward.h"
#include "sampler.h"

typedef struct {
    gt_model *m; /* borrowed */
    gt_arena arena;
    gt_pass pass;
    gt_kv_source kv;
    float *logits;         /* [V] */
    gt_candidate *scratch; /* [V] */
} gt_generator;

/* capacity: prompt and new tokens together, at most the positions m was made for (GT_ERR_CONFIG); chunk: prompt tokens
 * computed at once, at most the max_tokens m was made for. The adapter is m's. */
gt_status gt_generator_create(gt_generator *g, gt_model *m, int capacity, int chunk);
void gt_generator_destroy(gt_generator *g); /* zeroed structs are fine */

/* Receives every new token, the one that ends the text included; returning other than GT_OK stops and is passed on. */
typedef gt_status (*gt_token_sink)(void *context, int32_t id);

/* Feeds prompt [n] and draws up to max_new tokens, ending at one of the config's eos ids. *made: tokens drawn.
 * GT_ERR_CONFIG: prompt plus max_new exceed the capacity. */
gt_status gt_generate(gt_generator *g, const int32_t *prompt, int n, int max_new, const gt_sampling *sampling,
                      gt_token_sink sink, void *context, int *made);

#endif
