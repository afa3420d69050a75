/* ckpt_save_alone.c - saving without a word to the other ranks, who may be gone, by one that must leave within a
 * second: rank 0 the state unless it is on disk, every rank its part of the window in a folder of its own. */
#include "ckpt_draft.h"
#include "ckpt_folder.h"
#include "ckpt_open.h"
#include "ckpt_state.h"

#include "fs.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gt_status save_state(const char *out_dir, const gt_train_state *s, const char *id)
{
    gt_ckpt_entry *all = NULL;
    size_t n = 0;
    GT_TRY(gt_ckpt_list(&all, &n, out_dir));
    bool there = false;
    for (size_t i = 0; i < n && !there; i++)
        there = !all[i].is_window && all[i].step == s->step && gt_ckpt_seems_there(out_dir, all[i].name, id);
    free(all);
    if (there) return GT_OK;
    GT_TRY(gt_ckpt_state_check(s));
    char name[80];
    snprintf(name, sizeof name, "checkpoint-%lld", (long long)s->step);
    gt_ckpt_draft d = {0};
    GT_TRY(gt_ckpt_draft_make(&d, out_dir, name));
    gt_status st = gt_ckpt_draft_add_state(&d, s, id);
    if (st == GT_OK) st = gt_ckpt_draft_seal(&d, s, id);
    if (st == GT_OK) st = gt_ckpt_draft_publish(&d, out_dir, name);
    if (st != GT_OK) st = gt_ckpt_draft_drop(&d, st);
    gt_ckpt_draft_free(&d);
    return st;
}

static bool contains(const gt_ckpt_part *p, const gt_manifest_part *other)
{
    if (other->micro_batches != p->micro_batches || strcmp(other->plan, p->plan) != 0) return false;
    for (const gt_json *v = other->finished->child; v; v = v->next)
        if (!p->finished[v->integer]) return false;
    return true;
}

/* A long window is saved again and again: this rank's earlier parts of it that the one just published contains go. */
static void remove_contained(int rank, const char *out_dir, int64_t step, const gt_ckpt_part *p, const char *id,
                             const char *name)
{
    gt_ckpt_entry *all = NULL;
    size_t n = 0;
    char prefix[80];
    const int length = snprintf(prefix, sizeof prefix, "window-%lld.%d.", (long long)step, rank);
    if (gt_ckpt_list(&all, &n, out_dir) != GT_OK) return;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(all[i].name, prefix, (size_t)length) != 0 || strcmp(all[i].name, name) == 0) continue;
        char *path = gt_fs_join(out_dir, all[i].name);
        gt_ckpt *k = NULL;
        if (path && gt_ckpt_open_unverified(&k, path) == GT_OK && strcmp(k->m.id, id) == 0 && k->m.part_count == 1 &&
            contains(p, &k->m.part[0]) && gt_ckpt_remove(out_dir, all[i].name) != GT_OK)
            gt_log(GT_WARN, "ckpt", "an old part stays: %s", gt_error_last()->message);
        gt_ckpt_close(k);
        free(path);
    }
    free(all);
}

static gt_status save_part(int rank, const char *out_dir, const gt_train_state *s, const gt_ckpt_part *p,
                           const char *id)
{
    char name[120], sha256[65];
    snprintf(name, sizeof name, "window-%lld.%d", (long long)s->step, rank);
    gt_ckpt_draft d = {0};
    GT_TRY(gt_ckpt_draft_make(&d, out_dir, name));
    gt_status st = gt_ckpt_draft_add_part(&d, sha256, rank, p, id);
    if (st == GT_OK) st = gt_ckpt_draft_seal(&d, s, id);
    if (st == GT_OK) {
        /* The digest in the name: another life of this rank has other sums, and neither overwrites the other. */
        snprintf(name, sizeof name, "window-%lld.%d.%.16s", (long long)s->step, rank, sha256);
        st = gt_ckpt_draft_publish(&d, out_dir, name);
    }
    if (st != GT_OK)
        st = gt_ckpt_draft_drop(&d, st);
    else
        remove_contained(rank, out_dir, s->step, p, id, name);
    gt_ckpt_draft_free(&d);
    return st;
}

gt_status gt_ckpt_save_alone(int rank, const char *out_dir, const gt_train_state *s, const gt_ckpt_part *part)
{
    char id[65];
    GT_TRY(gt_ckpt_part_check(s, part));
    GT_TRY(gt_ckpt_state_id(s, id));
    gt_status st = rank == 0 ? save_state(out_dir, s, id) : GT_OK;
    if (st == GT_OK && gt_ckpt_part_finished(part)) st = save_part(rank, out_dir, s, part, id);
    return st;
}
