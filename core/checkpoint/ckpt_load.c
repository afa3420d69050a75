/* ckpt_load.c - the state from its file into the trainer's memory. Tensors are found by name, never by place: an
 * optimizer may order them anew, and whatever is there twice, or missing, or of another shape is another model's. */
#include "ckpt_arrays.h"

#include "checked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    float *const array[KINDS] = {t->value, t->m, t->v};
    return array[kind];
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
            a->offset = bytes;
            bytes += gt_ckpt_tensor_elements(&tensor[i]) * sizeof(float);
        }
    void *shared = NULL;
    gt_status st = gt_ckpt_arrays_read(&shared, bytes, k, k->m.state_file, array, n);
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
    gt_ckpt_arrays_free(shared, bytes);
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

gt_status gt_ckpt_load(gt_comm *c, const gt_ckpt *k, const gt_ckpt_tensor *tensor, int count)
{
    GT_TRY(gt_comm_agree(c, check_tables(k, tensor, count)));
    GT_TRY(gt_comm_agree(c, c->rank == 0 ? gt_ckpt_read(k, tensor, count) : GT_OK));
    return share_tensors(c, tensor, count);
}
