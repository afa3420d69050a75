#include "run_folder.h"

#include "ckpt.h"
#include "fs.h"
#include "run_lock.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gt_run_folder {
    char *path;      /* owned, without slashes at its end */
    size_t existing; /* bytes of path that were there before */
    gt_run_lock *lock;
};

/* What a run writes into its folder under a temporary name, besides checkpoints. */
static bool is_a_runs(const char *name)
{
    static const char *const names[] = {"final", "best", "metrics.jsonl", "done.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* Bytes of the longest leading part of path that is there; 0 when not even its first component is. */
static size_t existing_part(char *path)
{
    for (size_t n = strlen(path); n > 0; n--) {
        const char kept = path[n];
        if (kept != '\0' && kept != '/') continue;
        path[n] = '\0';
        const bool there = gt_fs_exists(path);
        path[n] = kept;
        if (there) return n;
    }
    return 0;
}

char *gt_run_folder_holds(const char *path)
{
    char *found = NULL;
    DIR *d = opendir(path);
    for (struct dirent *e = d ? readdir(d) : NULL; e && !found; e = readdir(d))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, GT_RUN_LOCK_NAME) != 0)
            found = strdup(e->d_name);
    if (d) closedir(d);
    return found;
}

/* From the folder up to the one that was there; the first that is not empty stops it. */
static void remove_made(gt_run_folder *f)
{
    for (size_t n = strlen(f->path); n > f->existing; n--) {
        if (f->path[n] != '\0' && f->path[n] != '/') continue;
        f->path[n] = '\0';
        if (rmdir(f->path) != 0) return;
    }
}

static gt_status take(gt_run_folder *f)
{
    GT_TRY(gt_fs_make_dirs(f->path));
    GT_TRY(gt_run_lock_take(&f->lock, f->path));
    GT_TRY(gt_ckpt_sweep(f->path));
    return gt_fs_sweep(f->path, is_a_runs, GT_SWEEP_ALL);
}

gt_status gt_run_folder_take(gt_run_folder **out, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    gt_run_folder *f = calloc(1, sizeof *f);
    if (!f || !(f->path = strndup(path, n))) {
        free(f);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", path);
    }
    f->existing = existing_part(f->path);
    const gt_status st = take(f);
    if (st != GT_OK)
        gt_run_folder_leave(f);
    else
        *out = f;
    return st;
}

void gt_run_folder_leave(gt_run_folder *f)
{
    if (!f) return;
    const bool made = f->path[f->existing] != '\0';
    char *content = gt_run_folder_holds(f->path);
    if (made && f->lock && !content)
        gt_run_lock_discard(f->lock);
    else
        gt_run_lock_release(f->lock);
    if (made && !content) remove_made(f);
    free(content);
    free(f->path);
    free(f);
}
