/* ckpt_load.c - from files to the trainer's memory: tensors by name, and the window's sums from all parts that fit. */
#include "ckpt_child.h"
#include "ckpt_folder.h"
#include "ckpt_h5.h"

#include "checked.h"
#include "fs.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A verified file, read in a child. */

typedef struct {
    int fd;
    const char *shown;
    gt_h5_array *array; /* data: offset into the shared memory until the child adds its base */
    size_t count;
} reading;

static gt_status read_in_child(void *context, void *shared)
{
    const reading *r = context;
    for (size_t i = 0; i < r->count; i++) r->array[i].data = (char *)shared + (size_t)r->array[i].data;
    return gt_h5_read(r->fd, r->shown, r->array, r->count);
}

/* A file that is slower than 20 MB/s does not come. */
static double patience(size_t bytes)
{
    return 8 + (double)bytes / 20e6;
}

/* The arrays of one file, one behind the other in *shared. GT_ERR_DATA also for a file changed since it was opened. */
static gt_status read_file(void **shared, size_t bytes, const gt_ckpt *k, int file, gt_h5_array *array, size_t count)
{
    const gt_manifest_file *f = &k->m.file[file];
    int fd;
    GT_TRY(gt_ckpt_verify(&fd, k->path, f));
    char *shown = gt_fs_join(k->path, f->name);
    reading r = {fd, shown, array, count};
    gt_status st = shown ? gt_child_run(shared, bytes, read_in_child, &r, shown, patience((size_t)f->bytes))
                         : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", k->path);
    free(shown);
    close(fd);
    return st;
}

/* Tensors. */

static int by_name(const void *a, const void *b)
{
    const gt_ckpt_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static const gt_ckpt_tensor **sorted(const gt_ckpt_tensor *t, int count)
{
    const gt_ckpt_tensor **p = calloc((size_t)count + 1, sizeof *p);
    if (!p) return NULL;
    for (int i = 0; i < count; i++) p[i] = &t[i];
    qsort(p, (size_t)count, sizeof *p, by_name);
    return p;
}

static void shape_text(char text[128], const gt_ckpt_tensor *t)
{
    size_t used = 0;
    text[0] = 0;
    for (int d = 0; d < t->dims && used < 100; d++)
        used += (size_t)snprintf(text + used, 128 - used, "%s%lld", d ? ", " : "", (long long)t->shape[d]);
}

static gt_status compare_tables(const gt_ckpt *k, const gt_ckpt_tensor **have, int have_count,
                                const gt_ckpt_tensor **want, int want_count)
{
    for (int i = 0; i < have_count || i < want_count; i++) {
        int order = i >= have_count ? 1 : i >= want_count ? -1 : strcmp(have[i]->name, want[i]->name);
        if (order < 0)
            return GT_FAIL(GT_ERR_CONFIG, "%s: holds tensor '%s', which this model has not; its adapters were others",
                           k->path, have[i]->name);
        if (order > 0)
            return GT_FAIL(GT_ERR_CONFIG, "%s: holds no tensor '%s'; its adapters were others", k->path, want[i]->name);
        const size_t bytes = (size_t)gt_max_int(have[i]->dims, 0) * sizeof(int64_t);
        if (have[i]->dims != want[i]->dims || memcmp(have[i]->shape, want[i]->shape, bytes) != 0) {
            char a[128], b[128];
            shape_text(a, have[i]);
            shape_text(b, want[i]);
            return GT_FAIL(GT_ERR_CONFIG, "%s: tensor '%s' is [%s], expected [%s]", k->path, have[i]->name, a, b);
        }
    }
    return GT_OK;
}

static gt_status check_tables(const gt_ckpt *k, const gt_ckpt_tensor *tensor, int count)
{
    const gt_ckpt_tensor **have = sorted(k->m.tensor, k->m.state.tensor_count), **want = sorted(tensor, count);
    gt_status st = have && want ? compare_tables(k, have, k->m.state.tensor_count, want, count)
                                : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a table", k->path);
    free(have);
    free(want);
    return st;
}

enum { KINDS = 3 };
static float *array_of(const gt_ckpt_tensor *t, int kind)
{
    return kind == 0 ? t->value : kind == 1 ? t->m : t->v;
}

gt_status gt_ckpt_read(const gt_ckpt *k, const gt_ckpt_tensor *tensor, int count)
{
    static const char *const group[KINDS] = {"adapter", "moment1", "moment2"};
    GT_TRY(check_tables(k, tensor, count));
    gt_h5_array *array = calloc((size_t)count * KINDS + 1, sizeof *array);
    if (!array) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a table", k->path);
    size_t n = 0, bytes = 0;
    for (int i = 0; i < count; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            if (!array_of(&tensor[i], kind)) continue;
            gt_h5_array *a = &array[n++];
            *a = (gt_h5_array){.group = group[kind], .name = tensor[i].name, .dims = tensor[i].dims};
            memcpy(a->shape, tensor[i].shape, sizeof a->shape);
            a->data = (void *)bytes; /* an offset: see reading */
            bytes += gt_ckpt_tensor_elements(&tensor[i]) * sizeof(float);
        }
    void *shared = NULL;
    gt_status st = read_file(&shared, bytes, k, k->m.state_file, array, n);
    free(array);
    if (st != GT_OK) return st;
    const char *at = shared;
    for (int i = 0; i < count; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            float *to = array_of(&tensor[i], kind);
            if (!to) continue;
            memcpy(to, at, gt_ckpt_tensor_elements(&tensor[i]) * sizeof(float));
            at += gt_ckpt_tensor_elements(&tensor[i]) * sizeof(float);
        }
    gt_child_free(shared, bytes);
    return GT_OK;
}

static gt_status share_tensors(gt_comm *c, const gt_ckpt_tensor *tensor, int count)
{
    for (int i = 0; i < count; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            float *x = array_of(&tensor[i], kind);
            if (x) GT_TRY(gt_comm_broadcast(c, x, gt_ckpt_tensor_elements(&tensor[i]) * sizeof *x, 0));
        }
    return GT_OK;
}

/* The window. */

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

static bool fits(const gt_ckpt *k, const gt_manifest_part *p, const gt_ckpt_part *want)
{
    const char *what = k->m.elements != want->n                  ? "has another number of elements"
                       : p->micro_batches != want->micro_batches ? "counts another number of micro-batches"
                       : strcmp(p->plan, want->plan) != 0        ? "belongs to another cut into micro-batches"
                       : p->shift != want->shift                 ? "has another fixed point"
                       : p->numbers != want->numbers || strcmp(p->names, want->names) != 0 ? "sums other numbers"
                                                                                           : NULL;
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
    gt_h5_array array[2] = {{.name = "sum", .dims = 1, .shape = {(int64_t)part->n}, .is_i64 = true},
                            {.name = "numbers", .dims = 1, .shape = {part->numbers}, .is_i64 = true}};
    array[1].data = (void *)(part->n * sizeof(int64_t)); /* an offset: see reading */
    const size_t total = part->n + (size_t)part->numbers;
    void *shared = NULL;
    GT_TRY(read_file(&shared, total * sizeof(int64_t), c->k, c->p->file, array, part->numbers ? 2 : 1));
    gt_status st = GT_OK;
    if (!add_sums(part->sum, shared, total))
        st = GT_FAIL(GT_ERR_DATA, "%s/%s: its sums overflow", c->k->path, c->k->m.file[c->p->file].name);
    for (const gt_json *v = c->p->finished->child; v && st == GT_OK; v = v->next) part->finished[v->integer] = 1;
    gt_child_free(shared, total * sizeof(int64_t));
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
    if (p->micro_batches < 1 || p->numbers < 0 || p->numbers > 64)
        return GT_FAIL(GT_ERR_ARG, "a window of %lld micro-batches and %d numbers", (long long)p->micro_batches,
                       p->numbers);
    return GT_OK;
}

gt_status gt_ckpt_load(gt_comm *c, const gt_ckpt *k, const gt_ckpt_tensor *tensor, int count)
{
    GT_TRY(gt_comm_agree(c, check_tables(k, tensor, count)));
    GT_TRY(gt_comm_agree(c, c->rank == 0 ? gt_ckpt_read(k, tensor, count) : GT_OK));
    return share_tensors(c, tensor, count);
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
