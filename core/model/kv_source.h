/* kv_source.h - what a document of a batch brings along: the keys and values of its earlier tokens, and its adapter.
 *
 * Keys are stored after norm and RoPE, values raw (docs/model/gemma3.md section 5); one token of a layer is [K] act, K
 * = kv_heads * head_dim. They lie in one run a layer, or on pages anywhere, which a server hands out as documents grow;
 * gt_forward writes a document's new tokens behind those held and reads all of them.
 * On ref pages give the bits of one run; on cpu sums over keys also end where a page does, so beyond 127 keys they are
 * those of one run up to the order of summing.
 * The structs and the tables of pages are the host's; what they point to is memory of the kernel table. */
#ifndef GT_KV_SOURCE_H
#define GT_KV_SOURCE_H

#include "arena.h"
#include "table.h"
#include "weights.h"

typedef struct gt_kv_source {
    int len;         /* tokens held: the next token's position; gt_forward advances it */
    int capacity;    /* tokens there is room for */
    int page_tokens; /* 0: one run of memory; else a multiple of 64 */
    /* page_tokens == 0: [capacity, K] of each layer */
    void *k[GT_MAX_LAYERS], *v[GT_MAX_LAYERS];
    /* otherwise token t is row t % page_tokens of page t / page_tokens; a page is [page_tokens, K]. Documents that
     * begin alike may share the pages before token len; those from it on are written to. */
    void *const *k_pages[GT_MAX_LAYERS], *const *v_pages[GT_MAX_LAYERS];
} gt_kv_source;

/* One document of a batch (options of gt_forward). */
typedef struct {
    gt_kv_source *kv;           /* the document continues at kv->len; NULL: it begins and ends in this batch */
    const struct gt_lora *lora; /* its adapter, in the compute dtype of the model; NULL: none */
} gt_span_source;

/* An empty source of one run of memory a layer, for one document of up to capacity tokens. */
void gt_kv_source_carve(gt_kv_source *s, gt_arena *a, const gt_model_config *c, gt_dtype act, int capacity);

/* GT_ERR_ARG unless n tokens from position pos on continue s, have room, and have pages in all of c's layers. */
gt_status gt_kv_source_check(const gt_kv_source *s, const gt_model_config *c, int pos, int n);

/* Writes keys and values [n, K] act of a layer to places len ... len + n - 1. len stays: the other layers come. */
gt_status gt_kv_source_write(const gt_kv_source *s, const gt_kernels *k, gt_exec *x, int layer, const void *keys,
                             const void *values, int n, int K);

/* A layer's first len tokens as attention reads them. */
gt_kv_view gt_kv_source_view(const gt_kv_source *s, int layer, int len, int K);

#endif
