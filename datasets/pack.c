#include "pack.h"

#include <stdlib.h>
#include <string.h>

enum { NONE = -1 };

/* Open bins by their room: a list for every room 0 ... capacity, and a bit where the list is not empty. */
typedef struct {
    int capacity;
    int64_t *first;  /* [capacity + 1] */
    int64_t *next;   /* [items] of a bin */
    uint64_t *bit;   /* [capacity / 64 + 1] */
    int64_t *bin_of; /* [items] */
    int64_t *order;  /* [items] longest first */
    int64_t *count;  /* [capacity + 2] */
    int64_t bins;
} work;

static void work_free(work *w)
{
    free(w->first);
    free(w->next);
    free(w->bit);
    free(w->bin_of);
    free(w->order);
    free(w->count);
}

static gt_status work_make(work *w, int64_t items, int capacity)
{
    const size_t n = (size_t)items + 1, rooms = (size_t)capacity + 2;
    w->capacity = capacity;
    w->first = calloc(rooms, sizeof *w->first);
    w->next = calloc(n, sizeof *w->next);
    w->bit = calloc(rooms / 64 + 1, sizeof *w->bit);
    w->bin_of = calloc(n, sizeof *w->bin_of);
    w->order = calloc(n, sizeof *w->order);
    w->count = calloc(rooms, sizeof *w->count);
    if (!w->first || !w->next || !w->bit || !w->bin_of || !w->order || !w->count)
        return GT_FAIL(GT_ERR_NOMEM, "no memory to pack %lld rows", (long long)items);
    for (size_t i = 0; i < rooms; i++) w->first[i] = NONE;
    return GT_OK;
}

/* Counting sort, longest first; equal lengths stay in order. */
static void sort_by_length(work *w, const int *length, int64_t items)
{
    for (int64_t i = 0; i < items; i++) w->count[w->capacity - length[i] + 1]++;
    for (int r = 1; r <= w->capacity + 1; r++) w->count[r] += w->count[r - 1];
    for (int64_t i = 0; i < items; i++) w->order[w->count[w->capacity - length[i]]++] = i;
}

static void put(work *w, int64_t bin, int room)
{
    w->next[bin] = w->first[room];
    w->first[room] = bin;
    w->bit[room / 64] |= 1ull << (room % 64);
}

/* Takes a bin out of the list of the least room >= need; NONE if no bin has that much. */
static int64_t take(work *w, int need, int *room)
{
    uint64_t word = w->bit[need / 64] & (~0ull << (need % 64));
    int at = need / 64;
    while (word == 0 && at < w->capacity / 64) word = w->bit[++at];
    if (word == 0) return NONE;
    *room = at * 64 + __builtin_ctzll(word);
    const int64_t bin = w->first[*room];
    w->first[*room] = w->next[bin];
    if (w->first[*room] == NONE) w->bit[*room / 64] &= ~(1ull << (*room % 64));
    return bin;
}

static void fill_bins(work *w, const int *length, int64_t items)
{
    for (int64_t i = 0; i < items; i++) {
        const int64_t item = w->order[i];
        int room = w->capacity;
        int64_t bin = take(w, length[item], &room);
        if (bin == NONE) {
            bin = w->bins++;
            room = w->capacity;
        }
        w->bin_of[item] = bin;
        put(w, bin, room - length[item]);
    }
}

/* Numbers the bins by their first member and lists the members in order. */
static gt_status list_members(gt_packing *p, work *w, int64_t items)
{
    p->count = w->bins;
    p->begin = calloc((size_t)w->bins + 1, sizeof *p->begin);
    p->member = calloc((size_t)items + 1, sizeof *p->member);
    int64_t *number = w->next, *at = w->order; /* both have served */
    if (!p->begin || !p->member) return GT_FAIL(GT_ERR_NOMEM, "no memory for %lld bins", (long long)w->bins);
    for (int64_t b = 0; b < w->bins; b++) number[b] = NONE;
    int64_t numbered = 0;
    for (int64_t i = 0; i < items; i++) {
        int64_t *n = &number[w->bin_of[i]];
        if (*n == NONE) *n = numbered++;
        w->bin_of[i] = *n;
        p->begin[*n + 1]++;
    }
    for (int64_t b = 0; b < w->bins; b++) {
        if (p->begin[b + 1] > p->most) p->most = (int)p->begin[b + 1];
        p->begin[b + 1] += p->begin[b];
        at[b] = p->begin[b];
    }
    for (int64_t i = 0; i < items; i++) p->member[at[w->bin_of[i]]++] = i;
    return GT_OK;
}

gt_status gt_pack(gt_packing *out, const int *length, int64_t items, int capacity)
{
    for (int64_t i = 0; i < items; i++)
        if (length[i] < 1 || length[i] > capacity)
            return GT_FAIL(GT_ERR_ARG, "row %lld has %d tokens; expected 1 to %d to be packed", (long long)i, length[i],
                           capacity);
    work w = {0};
    gt_packing p = {0};
    gt_status st = work_make(&w, items, capacity);
    if (st == GT_OK) {
        sort_by_length(&w, length, items);
        fill_bins(&w, length, items);
        st = list_members(&p, &w, items);
    }
    work_free(&w);
    if (st != GT_OK) {
        gt_packing_free(&p);
        return st;
    }
    *out = p;
    return GT_OK;
}

void gt_packing_free(gt_packing *p)
{
    if (!p) return;
    free(p->begin);
    free(p->member);
    memset(p, 0, sizeof *p);
}
