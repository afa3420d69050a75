/* ckpt_window.c - the window in work, from all parts that fit: those of its checkpoint, and those that ranks of this
 * and of earlier lives left beside it. Sums are exact, so parts add in any order; what must not happen is that a
 * micro-batch counts twice, so a part goes in whole or not at all. */
#include "ckpt_arrays.h"
#include "ckpt_folder.h"

#include "fs.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const gt_ckpt *k;
    const gt_manifest_part *p;
} candidate;

typedef struct {
    candidate *c;
    size_t count, capacity;
    gt_ckpt **opened; /* folders beside the checkpoint */
    size_t opened_count;
} candidates;

/* The larger part first: it replaces most work; the digest decides between equals, so that every life decides alike. */
static int larger_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->p->count != y->p->count) return x->p->count > y->p->count ? -1 : 1;
    return strcmp(x->k->m.file[x->p->file].sha256, y->k->m.file[y->p->file].sha256);
}

/* What stands between a part and the window that is loaded; NULL when nothing does. */
static const char *misfit(const gt_ckpt *k, const gt_manifest_part *p, const gt_ckpt_part *want)
{
    if (k->m.elements != want->n) return "has another number of elements";
    if (p->micro_batches != want->micro_batches) return "counts another number of micro-batches";
    if (strcmp(p->plan, want->plan) != 0) return "belongs to another cut into micro-batches";
    if (p->shift != want->shift) return "has another fixed point";
    if (p->numbers != want->numbers || strcmp(p->names, want->names) != 0) return "sums other numbers";
    return NULL;
}

static bool fits(const gt_ckpt *k, const gt_manifest_part *p, const gt_ckpt_part *want)
{
    const char *what = misfit(k, p, want);
    if (what)
        gt_log(GT_WARN, "ckpt", "%s/%s %s; its micro-batches will be computed again", k->path, k->m.file[p->file].name,
               what);
    return !what;
}

static gt_status add_parts(candidates *all, const gt_ckpt *k, const gt_ckpt_part *want, bool verified)
{
    for (int i = 0; i < k->m.part_count; i++) {
        const gt_manifest_part *p = &k->m.part[i];
        if ((verified && !k->part_good[i]) || p->count == 0 || !fits(k, p, want)) continue;
        if (all->count == all->capacity) {
            size_t capacity = all->capacity ? 2 * all->capacity : 16;
            candidate *more = realloc(all->c, capacity * sizeof *more);
            if (!more) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its parts", k->path);
            all->c = more;
            all->capacity = capacity;
        }
        all->c[all->count++] = (candidate){k, p};
    }
    return GT_OK;
}

/* The checkpoint's own parts, and those in window folders and other checkpoints beside it that belong to the same
 * state. */
static gt_status collect(candidates *all, const gt_ckpt *k, const gt_ckpt_part *want)
{
    GT_TRY(add_parts(all, k, want, true));
    const char *slash = strrchr(k->path, '/');
    char *parent = slash ? strndup(k->path, (size_t)(slash - k->path) + (slash == k->path)) : strdup(".");
    if (!parent) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", k->path);
    const char *own = slash ? slash + 1 : k->path;
    gt_ckpt_entry *entry = NULL;
    size_t n = 0;
    gt_status st = gt_ckpt_list(&entry, &n, parent);
    if (st == GT_OK && !(all->opened = calloc(n + 1, sizeof *all->opened)))
        st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory", parent);
    for (size_t i = 0; i < n && st == GT_OK; i++) {
        if (entry[i].step != k->m.state.step || strcmp(entry[i].name, own) == 0) continue;
        char *path = gt_fs_join(parent, entry[i].name);
        gt_ckpt *beside = NULL;
        if (!path)
            st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", parent);
        else if (gt_ckpt_open_unverified(&beside, path) != GT_OK)
            gt_log(GT_WARN, "ckpt", "%s; its micro-batches will be computed again", gt_error_last()->message);
        else {
            all->opened[all->opened_count++] = beside;
            if (strcmp(beside->m.id, k->m.id) == 0) st = add_parts(all, beside, want, false);
        }
        free(path);
    }
    free(entry);
    free(parent);
    return st;
}

static bool overlaps(const gt_manifest_part *p, const uint8_t *taken)
{
    for (const gt_json *v = p->finished->child; v; v = v->next)
        if (taken[v->integer]) return true;
    return false;
}

/* All or nothing: a sum that leaves 64 bits is damage that no digest can find. */
static bool add_sums(int64_t *sum, const int64_t *more, size_t n)
{
    size_t i = 0;
    while (i < n && !__builtin_add_overflow(sum[i], more[i], &sum[i])) i++;
    if (i == n) return true;
    for (sum[i] = (int64_t)((uint64_t)sum[i] - (uint64_t)more[i]); i-- > 0;) sum[i] -= more[i];
    return false;
}

static gt_status take(const candidate *c, gt_ckpt_part *part)
{
    const gt_h5_array array[2] = {
        {.name = "sum", .dims = 1, .shape = {(int64_t)part->n}, .is_i64 = true},
        {.name = "numbers", .dims = 1, .shape = {part->numbers}, .is_i64 = true, .offset = part->n * sizeof(int64_t)}};
    const size_t total = part->n + (size_t)part->numbers;
    void *shared = NULL;
    GT_TRY(gt_ckpt_arrays_read(&shared, total * sizeof(int64_t), c->k, c->p->file, array, part->numbers ? 2 : 1));
    gt_status st = GT_OK;
    if (!add_sums(part->sum, shared, total))
        st = GT_FAIL(GT_ERR_DATA, "%s/%s: its sums overflow", c->k->path, c->k->m.file[c->p->file].name);
    for (const gt_json *v = c->p->finished->child; v && st == GT_OK; v = v->next) part->finished[v->integer] = 1;
    gt_ckpt_arrays_free(shared, total * sizeof(int64_t));
    return st;
}

static gt_status merge(const gt_ckpt *k, gt_ckpt_part *part)
{
    candidates all = {0};
    gt_status st = collect(&all, k, part);
    if (st == GT_OK && all.count) qsort(all.c, all.count, sizeof *all.c, larger_first);
    int64_t done = 0;
    for (size_t i = 0; i < all.count && st == GT_OK; i++) {
        const candidate *c = &all.c[i];
        if (overlaps(c->p, part->finished)) continue; /* another life's copy of work that is already in */
        st = take(c, part);
        if (st == GT_OK) done += c->p->count;
        if (st == GT_ERR_DATA || st == GT_ERR_IO) {
            gt_log(GT_WARN, "ckpt", "%s; its micro-batches will be computed again", gt_error_last()->message);
            st = GT_OK;
        }
    }
    for (size_t i = 0; i < all.opened_count; i++) gt_ckpt_close(all.opened[i]);
    free(all.opened);
    free(all.c);
    if (st == GT_OK && done)
        gt_log(GT_INFO, "ckpt", "window of step %lld: %lld of %lld micro-batches were done", (long long)k->m.state.step,
               (long long)done, (long long)part->micro_batches);
    return st;
}

static gt_status check_part(const gt_ckpt *k, const gt_ckpt_part *p)
{
    if (p->n != k->m.elements)
        return GT_FAIL(GT_ERR_CONFIG, "%s: sums of %zu elements for tensors of %zu", k->path, p->n, k->m.elements);
    if (p->micro_batches < 1 || p->numbers < 0 || p->numbers > GT_CKPT_NUMBERS)
        return GT_FAIL(GT_ERR_ARG, "a window of %lld micro-batches and %d numbers", (long long)p->micro_batches,
                       p->numbers);
    return GT_OK;
}

gt_status gt_ckpt_load_window(gt_comm *c, const gt_ckpt *k, gt_ckpt_part *part, uint8_t *skip)
{
    GT_TRY(gt_comm_agree(c, check_part(k, part)));
    const size_t micro = (size_t)part->micro_batches;
    memset(part->sum, 0, (part->n + (size_t)part->numbers) * sizeof *part->sum);
    memset(part->finished, 0, micro);
    gt_status mine = GT_OK;
    if (c->rank == 0) {
        mine = merge(k, part);
        memcpy(skip, part->finished, micro);
    }
    GT_TRY(gt_comm_agree(c, mine));
    return gt_comm_broadcast(c, skip, micro, 0);
}
