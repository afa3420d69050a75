#include "kv_source.h"

#include "checked.h"

#include <string.h>

void gt_kv_source_carve(gt_kv_source *s, gt_arena *a, const gt_model_config *c, gt_dtype act, int capacity)
{
    memset(s, 0, sizeof *s);
    s->capacity = capacity;
    const size_t row = (size_t)c->num_key_value_heads * (size_t)c->head_dim * (size_t)gt_dtype_block_bytes(act);
    for (int l = 0; l < c->num_hidden_layers; l++) {
        s->k[l] = gt_arena_push(a, (size_t)capacity, row, "cache.k");
        s->v[l] = gt_arena_push(a, (size_t)capacity, row, "cache.v");
    }
}

/* Whether layer l has memory for token t. */
static bool has_place(const gt_kv_source *s, int l, int t)
{
    if (s->page_tokens == 0) return s->k[l] && s->v[l];
    return s->k_pages[l] && s->v_pages[l] && s->k_pages[l][t / s->page_tokens] && s->v_pages[l][t / s->page_tokens];
}

gt_status gt_kv_source_check(const gt_kv_source *s, const gt_model_config *c, int pos, int n)
{
    if (s->page_tokens < 0 || s->page_tokens % 64 != 0)
        return GT_FAIL(GT_ERR_ARG, "pages of %d tokens; expected a multiple of 64", s->page_tokens);
    if (pos != s->len || n > s->capacity - s->len)
        return GT_FAIL(GT_ERR_ARG, "%d tokens at position %d do not continue a cache of %d of %d", n, pos, s->len,
                       s->capacity);
    const int step = s->page_tokens > 0 ? s->page_tokens : s->capacity;
    for (int l = 0; l < c->num_hidden_layers; l++)
        for (int t = pos; t < pos + n; t += step - t % step)
            if (!has_place(s, l, t))
                return GT_FAIL(GT_ERR_ARG, "layer %d has no memory for the keys and values of token %d", l, t);
    return GT_OK;
}

static void *place(void *run, void *const *pages, int page_tokens, int token, size_t row_bytes)
{
    if (page_tokens == 0) return (char *)run + (size_t)token * row_bytes;
    return (char *)pages[token / page_tokens] + (size_t)(token % page_tokens) * row_bytes;
}

/* A copy for each page that is met. (A device's table would take all documents and pages in one launch.) */
gt_status gt_kv_source_write(const gt_kv_source *s, const gt_kernels *k, gt_exec *x, int layer, const void *keys,
                             const void *values, int n, int K)
{
    const size_t row = (size_t)K * (size_t)gt_dtype_block_bytes(k->act);
    void *const *k_pages = s->k_pages[layer], *const *v_pages = s->v_pages[layer];
    for (int i = 0, now; i < n; i += now) {
        const int token = s->len + i;
        now = s->page_tokens == 0 ? n : gt_min_int(n - i, s->page_tokens - token % s->page_tokens);
        const size_t count = (size_t)now * (size_t)K;
        GT_TRY(k->cast(x, place(s->k[layer], k_pages, s->page_tokens, token, row), k->act,
                       (const char *)keys + (size_t)i * row, k->act, count));
        GT_TRY(k->cast(x, place(s->v[layer], v_pages, s->page_tokens, token, row), k->act,
                       (const char *)values + (size_t)i * row, k->act, count));
    }
    return GT_OK;
}

gt_kv_view gt_kv_source_view(const gt_kv_source *s, int layer, int len, int K)
{
    return (gt_kv_view){.k = s->k[layer],
                        .v = s->v[layer],
                        .k_pages = (const void *const *)s->k_pages[layer],
                        .v_pages = (const void *const *)s->v_pages[layer],
                        .page_tokens = s->page_tokens,
                        .stride = K,
                        .len = len,
                        .pos = 0};
}
