/* ckpt.c - saving: together under one folder, or each rank alone when it must leave. A folder is written under a name
 * with
 * ".tmp-", its files fsynced, the manifest last; the rename is the moment it exists. */
#include "ckpt_folder.h"
#include "ckpt_h5.h"

#include "checked.h"
#include "fs.h"
#include "hash.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is saved. */

static void hash_text(gt_sha256 *h, const char *text)
{
    gt_sha256_add(h, text, strlen(text) + 1);
}

gt_status gt_ckpt_state_id(const gt_train_state *s, char hex[65])
{
    if (gt_ckpt_elements(s) == SIZE_MAX) return GT_FAIL(GT_ERR_ARG, "the shape of a tensor is not sound");
    gt_sha256 h;
    gt_sha256_init(&h);
    hash_text(&h, "gemtune state 1");
    gt_sha256_add_u64(&h, (uint64_t)s->step);
    gt_sha256_add_u64(&h, (uint64_t)s->epoch);
    gt_sha256_add_u64(&h, (uint64_t)s->window);
    gt_sha256_add_u64(&h, s->seed);
    hash_text(&h, s->base);
    hash_text(&h, s->dataset);
    for (int i = 0; i < s->tensor_count; i++) {
        const gt_ckpt_tensor *t = &s->tensor[i];
        hash_text(&h, t->name);
        gt_sha256_add_u64(&h, (uint64_t)t->dims);
        for (int d = 0; d < t->dims; d++) gt_sha256_add_u64(&h, (uint64_t)t->shape[d]);
        gt_sha256_add(&h, t->value, gt_ckpt_tensor_elements(t) * sizeof *t->value);
    }
    uint8_t digest[32];
    gt_sha256_end(&h, digest);
    gt_hex(hex, digest);
    return GT_OK;
}

/* x - x is 0 for every finite x and NaN for the others; a sum of zeros stays zero. */
static bool all_finite(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] - x[i];
    return sum == 0;
}

static gt_status check_state(const gt_train_state *s)
{
    static const char *const kind[] = {"value", "first moment", "second moment"};
    const size_t n = gt_ckpt_elements(s);
    if (n == SIZE_MAX || n == 0) return GT_FAIL(GT_ERR_ARG, "no tensors, or one whose shape is not sound");
    for (int i = 0; i < s->tensor_count; i++) {
        const gt_ckpt_tensor *t = &s->tensor[i];
        const float *data[] = {t->value, t->m, t->v};
        for (int k = 0; k < 3; k++)
            if (!all_finite(data[k], gt_ckpt_tensor_elements(t)))
                return GT_FAIL(GT_ERR_DATA, "tensor '%s' at step %lld: its %s is not finite; nothing is saved", t->name,
                               (long long)s->step, kind[k]);
    }
    return GT_OK;
}

static int64_t finished_in(const gt_ckpt_part *p)
{
    int64_t n = 0;
    for (int64_t i = 0; p && i < p->micro_batches; i++) n += p->finished[i] != 0;
    return n;
}

static gt_status check_part(const gt_train_state *s, const gt_ckpt_part *p)
{
    if (!p) return GT_OK;
    if (p->n != gt_ckpt_elements(s) || p->micro_batches < 1 || p->numbers < 0 || p->numbers > 64)
        return GT_FAIL(GT_ERR_ARG,
                       "a part with %zu sums, %d numbers and %lld micro-batches for tensors of %zu elements", p->n,
                       p->numbers, (long long)p->micro_batches, gt_ckpt_elements(s));
    return GT_OK;
}

/* Files of a folder. */

static gt_status describe_file(gt_text *lines, char sha256[65], const char *folder, const char *name)
{
    char *path = gt_fs_join(folder, name);
    struct stat info;
    uint8_t digest[32];
    gt_status st = path ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    if (st == GT_OK && stat(path, &info) != 0) st = GT_FAIL(GT_ERR_IO, "%s: %s", path, strerror(errno));
    if (st == GT_OK) st = gt_sha256_file(digest, path);
    free(path);
    if (st != GT_OK) return st;
    gt_hex(sha256, digest);
    gt_manifest_file_line(lines, name, (uint64_t)info.st_size, sha256);
    return GT_OK;
}

static gt_status write_state_file(gt_text *lines, const char *folder, const gt_train_state *s, const char *id)
{
    char sha256[65];
    gt_text about = {0};
    gt_manifest_state(&about, s, id);
    char *path = gt_fs_join(folder, GT_CKPT_STATE_NAME);
    gt_status st = path && !about.failed ? gt_h5_write_state(path, s, id, about.data)
                                         : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    if (st == GT_OK) st = describe_file(lines, sha256, folder, GT_CKPT_STATE_NAME);
    free(path);
    gt_text_free(&about);
    return st;
}

static gt_status write_part_file(gt_text *parts, gt_text *files, char sha256[65], const char *folder, int rank,
                                 const gt_ckpt_part *p, const char *id)
{
    char name[32];
    snprintf(name, sizeof name, "part-%d.h5", rank);
    const size_t before = parts->size;
    gt_manifest_part_line(parts, name, rank, p);
    char *path = gt_fs_join(folder, name);
    gt_status st = path && !parts->failed ? gt_h5_write_part(path, p, id, parts->data + before)
                                          : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    if (st == GT_OK) st = describe_file(files, sha256, folder, name);
    free(path);
    return st;
}

static gt_status write_manifest(const char *folder, const gt_train_state *s, const char *id, const gt_text *parts,
                                const gt_text *files)
{
    gt_text t = {0};
    char *path = gt_fs_join(folder, GT_MANIFEST_NAME);
    if (!path || parts->failed || files->failed) {
        free(path);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a manifest", folder);
    }
    gt_status st = gt_manifest_compose(&t, s, id, parts->data ? parts->data : "", files->data ? files->data : "");
    if (st == GT_OK) st = gt_fs_write(path, t.data, t.size); /* fsyncs the folder as well */
    gt_text_free(&t);
    free(path);
    return st;
}

/* Folders. */

/* "<out_dir>/<name>.tmp-<pid>", made anew. */
static gt_status make_tmp(char **tmp, const char *out_dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s.tmp-%ld", out_dir, name, (long)getpid()) < 0)
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", out_dir);
    gt_status st = gt_fs_remove_tree(path);
    if (st == GT_OK && mkdir(path, 0777) != 0)
        st = GT_FAIL(GT_ERR_IO, "%s: cannot be made: %s; is the folder there, and writable?", path, strerror(errno));
    if (st != GT_OK)
        free(path);
    else
        *tmp = path;
    return st;
}

/* Removes what a failed save left and returns its status with its words. */
static gt_status abandon(const char *tmp, gt_status st)
{
    const gt_error why = *gt_error_last();
    if (gt_fs_remove_tree(tmp) != GT_OK) gt_log(GT_WARN, "ckpt", "%s", gt_error_last()->message);
    return gt_error_restore(&why, st);
}

/* tmp becomes out_dir/name, in one step also where a folder of that name is there: the two change places and the old
 * one goes. Only a file system that cannot exchange has a moment with neither. */
static gt_status publish(const char *tmp, const char *out_dir, const char *name)
{
    char *path = gt_fs_join(out_dir, name);
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", out_dir);
    gt_status st;
    if (!gt_fs_exists(path))
        st = gt_fs_publish(tmp, path);
    else if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        st = gt_fs_sync(out_dir);
        if (st == GT_OK) st = gt_fs_remove_tree(tmp);
    } else if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        st = GT_FAIL(GT_ERR_IO, "%s: cannot be exchanged with %s: %s", tmp, path, strerror(errno));
    else {
        st = gt_ckpt_remove(out_dir, name);
        if (st == GT_OK) st = gt_fs_publish(tmp, path);
    }
    free(path);
    return st;
}

/* Whether a manifest tells of s all that is not in its identity. A best evaluation without a finite loss is none. */
static bool tells_the_same(const gt_train_state *k, const gt_train_state *s)
{
    const int64_t numbers[][2] = {{k->step, s->step},
                                  {k->epoch, s->epoch},
                                  {k->window, s->window},
                                  {k->rows_seen, s->rows_seen},
                                  {k->tokens_seen, s->tokens_seen},
                                  {k->supervised_seen, s->supervised_seen},
                                  {k->world_size, s->world_size}};
    const char *const words[][2] = {{k->recipe, s->recipe},     {k->metrics, s->metrics}, {k->extra, s->extra},
                                    {k->dataset, s->dataset},   {k->base, s->base},       {k->tokenizer, s->tokenizer},
                                    {k->numerics, s->numerics}, {k->tool, s->tool}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i][0] != numbers[i][1]) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], words[i][1]) != 0) return false;
    const bool best = s->best_eval_step >= 0 && isfinite(s->best_eval_loss);
    if (k->seed != s->seed || k->best_eval_step != (best ? s->best_eval_step : -1)) return false;
    return !best || k->best_eval_loss == s->best_eval_loss;
}

/* Whether out_dir/name is a checkpoint of that state and its state file there with the right size. thorough: and with
 * the right digest, and all else that the manifest tells is as in s too. */
static bool saved_already(const char *out_dir, const char *name, const char *id, const gt_train_state *s, bool thorough)
{
    gt_ckpt *k = NULL;
    char *path = gt_fs_join(out_dir, name), *file = path ? gt_fs_join(path, GT_CKPT_STATE_NAME) : NULL;
    bool same = false;
    if (file && gt_fs_exists(path) && gt_ckpt_open_unverified(&k, path) == GT_OK && k->m.state_file >= 0 &&
        strcmp(k->m.id, id) == 0 && (!thorough || tells_the_same(&k->m.state, s))) {
        const gt_manifest_file *f = &k->m.file[k->m.state_file];
        struct stat info;
        int fd;
        if (!thorough)
            same = stat(file, &info) == 0 && (uint64_t)info.st_size == f->bytes;
        else if (gt_ckpt_verify(&fd, path, f) == GT_OK) {
            close(fd);
            same = true;
        }
    }
    gt_ckpt_close(k);
    free(file);
    free(path);
    return same;
}

/* Together. */

/* What rank 0 tells the others before they write. */
typedef struct {
    char id[65];
    char name[80];
    char tmp[4096];
    bool there; /* nothing to write */
} orders;

static gt_status prepare(orders *o, const gt_ckpt_policy *p, const gt_train_state *s, bool mid_window, int64_t finished)
{
    GT_TRY(check_state(s));
    if (mid_window)
        snprintf(o->name, sizeof o->name, "checkpoint-%lld.%lld", (long long)s->step, (long long)finished);
    else
        snprintf(o->name, sizeof o->name, "checkpoint-%lld", (long long)s->step);
    o->there = !mid_window && saved_already(p->out_dir, o->name, o->id, s, true);
    if (o->there) return GT_OK;
    char *tmp = NULL;
    GT_TRY(make_tmp(&tmp, p->out_dir, o->name));
    gt_status st = GT_OK;
    if (strlen(tmp) >= sizeof o->tmp)
        st = GT_FAIL(GT_ERR_IO, "%.200s...: the path is too long", tmp);
    else
        memcpy(o->tmp, tmp, strlen(tmp) + 1);
    free(tmp);
    return st;
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
        if (mine) memcpy(padded, lines->data, (size_t)mine);
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

static gt_status write_together(gt_comm *c, const orders *o, const gt_train_state *s, const gt_ckpt_part *part)
{
    gt_text parts = {0}, files = {0};
    char sha256[65];
    gt_status mine = GT_OK;
    if (c->rank == 0) mine = write_state_file(&files, o->tmp, s, o->id);
    if (mine == GT_OK && finished_in(part))
        mine = write_part_file(&parts, &files, sha256, o->tmp, c->rank, part, o->id);
    gt_status st = gt_comm_agree(c, mine); /* every file is on disk, or nobody goes on */
    if (st == GT_OK) st = gather_lines(c, &parts);
    if (st == GT_OK) st = gather_lines(c, &files);
    if (st == GT_OK && c->rank == 0) mine = write_manifest(o->tmp, s, o->id, &parts, &files);
    gt_text_free(&parts);
    gt_text_free(&files);
    return st == GT_OK ? gt_comm_agree(c, mine) : st;
}

static gt_status agree_on_orders(gt_comm *c, orders *o, const gt_ckpt_policy *p, const gt_train_state *s,
                                 const gt_ckpt_part *part)
{
    char own[65] = "";
    int64_t finished = finished_in(part);
    gt_status mine = check_part(s, part);
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
    gt_status st = agree_on_orders(c, &o, p, s, part);
    if (st == GT_OK && !o.there) {
        st = write_together(c, &o, s, part);
        if (st == GT_OK) {
            gt_status mine = c->rank == 0 ? publish(o.tmp, p->out_dir, o.name) : GT_OK;
            st = gt_comm_agree(c, mine);
        }
    }
    if (st != GT_OK) return c->rank == 0 && o.tmp[0] ? abandon(o.tmp, st) : st;
    if (c->rank == 0 && gt_ckpt_prune(p, s->step, part != NULL) != GT_OK)
        gt_log(GT_WARN, "ckpt", "an old checkpoint stays: %s", gt_error_last()->message);
    if (saved && !(*saved = gt_fs_join(p->out_dir, o.name))) return GT_FAIL(GT_ERR_NOMEM, "no memory for a name");
    return GT_OK;
}

/* Alone. */

static gt_status save_state_alone(const char *out_dir, const gt_train_state *s, const char *id)
{
    gt_ckpt_entry *all = NULL;
    size_t n = 0;
    GT_TRY(gt_ckpt_list(&all, &n, out_dir));
    bool there = false;
    for (size_t i = 0; i < n && !there; i++)
        there = !all[i].is_window && all[i].step == s->step && saved_already(out_dir, all[i].name, id, s, false);
    free(all);
    if (there) return GT_OK;
    GT_TRY(check_state(s));
    char name[80], *tmp = NULL;
    snprintf(name, sizeof name, "checkpoint-%lld", (long long)s->step);
    GT_TRY(make_tmp(&tmp, out_dir, name));
    gt_text files = {0}, parts = {0};
    gt_status st = write_state_file(&files, tmp, s, id);
    if (st == GT_OK) st = write_manifest(tmp, s, id, &parts, &files);
    if (st == GT_OK) st = publish(tmp, out_dir, name);
    if (st != GT_OK) st = abandon(tmp, st);
    gt_text_free(&files);
    free(tmp);
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

static gt_status save_part_alone(int rank, const char *out_dir, const gt_train_state *s, const gt_ckpt_part *p,
                                 const char *id)
{
    char name[120], sha256[65], *tmp = NULL;
    snprintf(name, sizeof name, "window-%lld.%d", (long long)s->step, rank);
    GT_TRY(make_tmp(&tmp, out_dir, name));
    gt_text files = {0}, parts = {0};
    gt_status st = write_part_file(&parts, &files, sha256, tmp, rank, p, id);
    if (st == GT_OK) st = write_manifest(tmp, s, id, &parts, &files);
    if (st == GT_OK) {
        /* The digest in the name: another life of this rank has other sums, and neither overwrites the other. */
        snprintf(name, sizeof name, "window-%lld.%d.%.16s", (long long)s->step, rank, sha256);
        st = publish(tmp, out_dir, name);
    }
    if (st != GT_OK)
        st = abandon(tmp, st);
    else
        remove_contained(rank, out_dir, s->step, p, id, name);
    gt_text_free(&files);
    gt_text_free(&parts);
    free(tmp);
    return st;
}

gt_status gt_ckpt_save_alone(int rank, const char *out_dir, const gt_train_state *s, const gt_ckpt_part *part)
{
    char id[65];
    GT_TRY(check_part(s, part));
    GT_TRY(gt_ckpt_state_id(s, id));
    gt_status st = rank == 0 ? save_state_alone(out_dir, s, id) : GT_OK;
    if (st == GT_OK && finished_in(part)) st = save_part_alone(rank, out_dir, s, part, id);
    return st;
}
