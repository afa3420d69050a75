#include "ckpt_folder.h"

#include "fs.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A decimal number at *at, which is moved behind it; -1 when there is none, a leading zero or an overflow. */
static int64_t number(const char **at)
{
    const char *p = *at;
    int64_t n = 0;
    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9')) return -1;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, (int64_t)10, &n) || __builtin_add_overflow(n, (int64_t)(*p - '0'), &n)) return -1;
    *at = p;
    return n;
}

static bool parse_name(gt_ckpt_entry *e, const char *name)
{
    const char *p = name;
    memset(e, 0, sizeof *e);
    if (!gt_fs_safe_name(name)) return false;
    memcpy(e->name, name, strlen(name) + 1);
    e->micro = -1;
    if (strncmp(p, "window-", 7) == 0) {
        p += 7;
        e->is_window = true;
        if ((e->step = number(&p)) < 0 || *p++ != '.' || number(&p) < 0 || *p++ != '.') return false;
        return strlen(p) == 16 && strspn(p, "0123456789abcdef") == 16;
    }
    if (strncmp(p, "checkpoint-", 11) != 0) return false;
    p += 11;
    if ((e->step = number(&p)) < 0) return false;
    if (*p == '.') {
        p++;
        if ((e->micro = number(&p)) < 0) return false;
    }
    return *p == 0;
}

static int newest_first(const void *a, const void *b)
{
    const gt_ckpt_entry *x = a, *y = b;
    if (x->step != y->step) return x->step > y->step ? -1 : 1;
    if (x->micro != y->micro) return x->micro > y->micro ? -1 : 1;
    return strcmp(x->name, y->name);
}

gt_status gt_ckpt_list(gt_ckpt_entry **out, size_t *count, const char *out_dir)
{
    DIR *d = opendir(out_dir);
    if (!d) return GT_FAIL(GT_ERR_IO, "%s: %s", out_dir, strerror(errno));
    gt_ckpt_entry *all = NULL, e;
    size_t n = 0, capacity = 0;
    gt_status st = GT_OK;
    for (;;) {
        errno = 0;
        struct dirent *found = readdir(d);
        if (!found) {
            if (errno) st = GT_FAIL(GT_ERR_IO, "%s: %s", out_dir, strerror(errno));
            break;
        }
        if (!parse_name(&e, found->d_name)) continue;
        if (n == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            gt_ckpt_entry *more = realloc(all, capacity * sizeof *all);
            if (!more) {
                st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a list of checkpoints", out_dir);
                break;
            }
            all = more;
        }
        all[n++] = e;
    }
    closedir(d);
    if (st != GT_OK) {
        free(all);
        return st;
    }
    if (n) qsort(all, n, sizeof *all, newest_first);
    *out = all;
    *count = n;
    return GT_OK;
}

bool gt_ckpt_any(const char *out_dir)
{
    gt_ckpt_entry *all = NULL;
    size_t n = 0;
    if (gt_ckpt_list(&all, &n, out_dir) != GT_OK) return false;
    free(all);
    return n > 0;
}

gt_status gt_ckpt_remove(const char *out_dir, const char *name)
{
    char *from = gt_fs_join(out_dir, name), *to = NULL;
    gt_status st = GT_OK;
    if (!from || asprintf(&to, "%s.tmp-%ld", from, (long)getpid()) < 0) {
        free(from);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", name);
    }
    if (rename(from, to) != 0 && errno != ENOENT)
        st = GT_FAIL(GT_ERR_IO, "%s: cannot be renamed for removal: %s", from, strerror(errno));
    if (st == GT_OK) st = gt_fs_remove_tree(to);
    free(from);
    free(to);
    return st;
}

gt_status gt_ckpt_clear(const char *out_dir)
{
    gt_ckpt_entry *all = NULL;
    size_t n = 0;
    GT_TRY(gt_ckpt_list(&all, &n, out_dir));
    gt_status st = GT_OK;
    for (size_t i = 0; i < n && st == GT_OK; i++) st = gt_ckpt_remove(out_dir, all[i].name);
    free(all);
    return st;
}

/* What a folder in the making may be called: as the finished one, or window-STEP.RANK, whose digest is not known yet.
 */
static bool is_begun(const char *name)
{
    gt_ckpt_entry e;
    if (parse_name(&e, name)) return true;
    if (strncmp(name, "window-", 7) != 0) return false;
    const char *p = name + 7;
    return number(&p) >= 0 && *p++ == '.' && number(&p) >= 0 && *p == '\0';
}

gt_status gt_ckpt_sweep(const char *out_dir)
{
    return gt_fs_sweep(out_dir, is_begun, GT_SWEEP_ALL);
}

static bool is_resumed(const gt_ckpt_policy *p, const char *name)
{
    if (!p->resumed) return false;
    size_t n = strlen(p->resumed), k = strlen(name);
    while (n > 1 && p->resumed[n - 1] == '/') n--;
    return n >= k && memcmp(p->resumed + n - k, name, k) == 0 && (n == k || p->resumed[n - k - 1] == '/');
}

gt_status gt_ckpt_prune(const gt_ckpt_policy *p, int64_t step, bool mid_window)
{
    gt_ckpt_entry *all = NULL;
    size_t n = 0;
    GT_TRY(gt_ckpt_list(&all, &n, p->out_dir));
    gt_status st = GT_OK;
    int steps = 0;
    int64_t last_step = -1, last_micro_of = -1;
    for (size_t i = 0; i < n; i++) {
        const gt_ckpt_entry *e = &all[i];
        bool drop;
        if (e->is_window) {
            /* A window of a step that is done, or whose sums all are in the checkpoint just made. */
            drop = e->step < step || (e->step == step && mid_window);
        } else {
            if (e->step != last_step) steps++;
            last_step = e->step;
            drop = p->keep > 0 && steps > p->keep && e->step != p->best_step;
            /* In one window a later checkpoint contains the earlier ones. */
            if (e->micro >= 0) {
                drop = drop || e->step == last_micro_of;
                last_micro_of = e->step;
            }
            drop = drop && !is_resumed(p, e->name);
        }
        gt_status one = drop ? gt_ckpt_remove(p->out_dir, e->name) : GT_OK;
        if (st == GT_OK) st = one;
    }
    free(all);
    return st;
}
