/* ckpt_save.c - saving together: one folder, the state from rank 0 and every rank's part of the window. No rank goes on
 * before all have written, and every rank says first whose adapters it holds: ranks that drifted apart would save a
 * state that nobody has. */
#include "ckpt_draft.h"
#include "ckpt_folder.h"
#include "ckpt_open.h"
#include "ckpt_state.h"

#include "checked.h"
#include "fs.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What rank 0 tells the others before they write. */
typedef struct {
    char id[65];
    char name[80];
    char path[4096]; /* of the draft */
    bool there;      /* nothing to write */
} orders;

static gt_status prepare(orders *o, const gt_ckpt_policy *p, const gt_train_state *s, bool mid_window, int64_t finished)
{
    GT_TRY(gt_ckpt_state_check(s));
    if (mid_window)
        snprintf(o->name, sizeof o->name, "checkpoint-%lld.%lld", (long long)s->step, (long long)finished);
    else
        snprintf(o->name, sizeof o->name, "checkpoint-%lld", (long long)s->step);
    o->there = !mid_window && gt_ckpt_is_there(p->out_dir, o->name, o->id, s);
    if (o->there) return GT_OK;
    gt_ckpt_draft d = {0};
    GT_TRY(gt_ckpt_draft_make(&d, p->out_dir, o->name));
    memcpy(o->path, d.path, sizeof o->path);
    return GT_OK;
}

/* Every rank's manifest lines come to all, in rank order. */
static gt_status gather_lines(gt_comm *c, gt_text *lines)
{
    int64_t mine = (int64_t)lines->size, *sizes = calloc((size_t)c->size, sizeof *sizes);
    gt_status st =
        gt_comm_agree(c, sizes && !lines->failed ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "no memory for a manifest"));
    if (st == GT_OK) st = gt_comm_gather(c, &mine, sizeof mine, sizes);
    size_t longest = 1;
    for (int r = 0; st == GT_OK && r < c->size; r++) longest = gt_max_size(longest, (size_t)sizes[r]);
    char *padded = st == GT_OK ? calloc(longest, 1) : NULL,
         *all = st == GT_OK ? calloc(longest, (size_t)c->size) : NULL;
    if (st == GT_OK) st = gt_comm_agree(c, padded && all ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "no memory for a manifest"));
    if (st == GT_OK) {
        if (lines->data) memcpy(padded, lines->data, lines->size);
        st = gt_comm_gather(c, padded, longest, all);
    }
    if (st == GT_OK) {
        gt_text_clear(lines);
        for (int r = 0; r < c->size; r++) {
            if (sizes[r] && lines->size) gt_text_add(lines, ",\n", 2);
            gt_text_add(lines, all + (size_t)r * longest, (size_t)sizes[r]);
        }
    }
    free(sizes);
    free(padded);
    free(all);
    return st;
}

static gt_status write_together(gt_comm *c, gt_ckpt_draft *d, const orders *o, const gt_train_state *s,
                                const gt_ckpt_part *part)
{
    char sha256[65];
    gt_status mine = GT_OK;
    if (c->rank == 0) mine = gt_ckpt_draft_add_state(d, s, o->id);
    if (mine == GT_OK && gt_ckpt_part_finished(part)) mine = gt_ckpt_draft_add_part(d, sha256, c->rank, part, o->id);
    GT_TRY(gt_comm_agree(c, mine)); /* every file is on disk, or nobody goes on */
    GT_TRY(gather_lines(c, &d->parts));
    GT_TRY(gather_lines(c, &d->files));
    return gt_comm_agree(c, c->rank == 0 ? gt_ckpt_draft_seal(d, s, o->id) : GT_OK);
}

static gt_status agree_on_orders(gt_comm *c, orders *o, const gt_ckpt_policy *p, const gt_train_state *s,
                                 const gt_ckpt_part *part)
{
    char own[65] = "";
    int64_t finished = gt_ckpt_part_finished(part);
    gt_status mine = gt_ckpt_part_check(s, part);
    if (mine == GT_OK) mine = gt_ckpt_state_id(s, own);
    GT_TRY(gt_comm_agree(c, mine));
    GT_TRY(gt_comm_sum_i64(c, &finished, 1));
    memcpy(o->id, own, sizeof own);
    if (c->rank == 0) mine = prepare(o, p, s, part != NULL, finished);
    GT_TRY(gt_comm_agree(c, mine));
    GT_TRY(gt_comm_broadcast(c, o, sizeof *o, 0));
    if (strcmp(own, o->id) != 0)
        mine = GT_FAIL(GT_ERR_INTERNAL, "step %lld: rank %d holds other adapters (%s) than rank 0 (%s)",
                       (long long)s->step, c->rank, own, o->id);
    return gt_comm_agree(c, mine);
}

gt_status gt_ckpt_save(gt_comm *c, const gt_ckpt_policy *p, const gt_train_state *s, const gt_ckpt_part *part,
                       char **saved)
{
    orders o = {0};
    gt_ckpt_draft d = {0};
    gt_status st = agree_on_orders(c, &o, p, s, part);
    memcpy(d.path, o.path, sizeof d.path);
    if (st == GT_OK && !o.there) {
        st = write_together(c, &d, &o, s, part);
        if (st == GT_OK) st = gt_comm_agree(c, c->rank == 0 ? gt_ckpt_draft_publish(&d, p->out_dir, o.name) : GT_OK);
    }
    gt_ckpt_draft_free(&d);
    if (st != GT_OK) return c->rank == 0 && d.path[0] ? gt_ckpt_draft_drop(&d, st) : st;
    if (c->rank == 0 && gt_ckpt_prune(p, s->step, part != NULL) != GT_OK)
        gt_log(GT_WARN, "ckpt", "an old checkpoint stays: %s", gt_error_last()->message);
    if (saved && !(*saved = gt_fs_join(p->out_dir, o.name))) return GT_FAIL(GT_ERR_NOMEM, "no memory for a name");
    return GT_OK;
}
