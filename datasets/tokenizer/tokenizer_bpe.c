/* The merges of a stretch go through a binary heap of pairs keyed by rank, then by place. A pair whose symbols have
 * changed since it was put there is recognised by its rank, which its left symbol no longer has, and passed over: a
 * symbol's rank is always that of its present pair, and the same rank at the same left symbol means the same two
 * pieces. */
#include "tokenizer_bpe.h"

#include <stdlib.h>

static const uint32_t NOTHING = UINT32_MAX;

void gt_bpe_free(gt_bpe *b)
{
    free(b->symbol);
    free(b->heap);
    *b = (gt_bpe){0};
}

gt_status gt_bpe_push(gt_bpe *b, uint32_t id, uint32_t begin)
{
    if (b->count == b->capacity) {
        const size_t more = b->capacity ? b->capacity * 2 : 64;
        gt_symbol *grown = realloc(b->symbol, more * sizeof *grown);
        if (!grown) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu symbols of a text", more);
        b->symbol = grown;
        b->capacity = more;
    }
    b->symbol[b->count++] = (gt_symbol){.id = id, .begin = begin};
    return GT_OK;
}

static void sift_down(uint64_t *heap, size_t count, size_t i)
{
    const uint64_t moving = heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= count) break;
        if (child + 1 < count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= moving) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moving;
}

static void heap_add(gt_bpe *b, uint64_t key)
{
    size_t i = b->heap_count++;
    for (; i > 0 && b->heap[(i - 1) / 2] > key; i = (i - 1) / 2) b->heap[i] = b->heap[(i - 1) / 2];
    b->heap[i] = key;
}

static uint64_t heap_take(gt_bpe *b)
{
    const uint64_t top = b->heap[0];
    b->heap[0] = b->heap[--b->heap_count];
    if (b->heap_count) sift_down(b->heap, b->heap_count, 0);
    return top;
}

/* Looks up symbol i's pair with its next one. */
static void rank_pair(const gt_bpe *b, const gt_tokenizer *t, uint32_t i)
{
    gt_symbol *s = &b->symbol[i];
    s->rank = s->next == NOTHING ? NOTHING : gt_merge_find(t, s->id, b->symbol[s->next].id);
}

/* Room for every pair that can be in the heap at once: one a symbol to begin with, and each merge takes one out and
 * puts two in at most. */
static gt_status reserve_heap(gt_bpe *b)
{
    const size_t need = 2 * b->count;
    if (need <= b->heap_capacity) return GT_OK;
    uint64_t *grown = realloc(b->heap, need * sizeof *grown);
    if (!grown) return GT_FAIL(GT_ERR_NOMEM, "no memory to merge %zu symbols of a text", b->count);
    b->heap = grown;
    b->heap_capacity = need;
    return GT_OK;
}

static void merge_all(gt_bpe *b, const gt_tokenizer *t)
{
    const uint32_t n = (uint32_t)b->count;
    b->heap_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        gt_symbol *s = &b->symbol[i];
        s->prev = i == 0 ? NOTHING : i - 1;
        s->next = i + 1 == n ? NOTHING : i + 1;
        rank_pair(b, t, i);
        if (s->rank != NOTHING) b->heap[b->heap_count++] = (uint64_t)s->rank << 32 | i;
    }
    for (size_t i = b->heap_count / 2; i-- > 0;) sift_down(b->heap, b->heap_count, i);

    while (b->heap_count) {
        const uint64_t key = heap_take(b);
        const uint32_t i = (uint32_t)key, rank = (uint32_t)(key >> 32);
        gt_symbol *left = &b->symbol[i];
        if (left->rank != rank) continue;
        gt_symbol *right = &b->symbol[left->next];
        left->id = t->merge[rank].result;
        left->next = right->next;
        right->rank = NOTHING;
        if (left->next != NOTHING) b->symbol[left->next].prev = i;
        rank_pair(b, t, i);
        if (left->rank != NOTHING) heap_add(b, (uint64_t)left->rank << 32 | i);
        if (left->prev == NOTHING) continue;
        rank_pair(b, t, left->prev);
        const uint32_t before = b->symbol[left->prev].rank;
        if (before != NOTHING) heap_add(b, (uint64_t)before << 32 | left->prev);
    }
}

gt_status gt_bpe_finish(gt_bpe *b, const gt_tokenizer *t, gt_ids *ids)
{
    if (b->count == 0) return GT_OK;
    GT_TRY(reserve_heap(b));
    merge_all(b, t);
    for (uint32_t i = 0; i != NOTHING; i = b->symbol[i].next)
        GT_TRY(gt_ids_push(ids, (int32_t)b->symbol[i].id, b->symbol[i].begin));
    b->count = 0;
    return GT_OK;
}
