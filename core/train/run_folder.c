#include "run_folder.h"

#include "ckpt.h"
#include "fs.h"
#include "json.h"
#include "run_lock.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DONE "done.json"
enum { DONE_BYTES = 65536 };

struct gt_run_folder {
    char *path;      /* owned, without slashes at its end */
    size_t existing; /* bytes of path that were there before */
    gt_run_lock *lock;
};

/* What a run writes into its folder under a temporary name, besides checkpoints. */
static bool is_a_runs(const char *name)
{
    static const char *const names[] = {"final", "best", "metrics.jsonl", DONE};
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

gt_status gt_run_done_write(const char *folder, int64_t steps)
{
    char text[128];
    int n = snprintf(text, sizeof text, "{\"done\": true, \"steps\": %lld}\n", (long long)steps);
    char *path = gt_fs_join(folder, DONE);
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    gt_status st = gt_fs_write(path, text, (size_t)n);
    free(path);
    return st;
}

static gt_status parse_marker(int64_t *steps, const char *text, size_t size, const char *path)
{
    gt_json_doc *doc = NULL;
    GT_TRY(gt_json_parse(&doc, text, size, path));
    const gt_json *done = gt_json_get(gt_json_root(doc), "done"), *n = gt_json_get(gt_json_root(doc), "steps");
    gt_status st = GT_OK;
    if (!done || done->type != GT_JSON_TRUE || !n || !n->is_integer || n->integer < 0)
        st = GT_FAIL(GT_ERR_DATA, "%s: not a marker of a finished run; remove it if the run is not finished", path);
    else
        *steps = n->integer;
    gt_json_free(doc);
    return st;
}

gt_status gt_run_done_read(const char *folder, int64_t *steps)
{
    char *path = gt_fs_join(folder, DONE), *text = NULL;
    size_t size = 0;
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    gt_status st = GT_OK;
    if (!gt_fs_exists(path))
        *steps = -1;
    else {
        st = gt_fs_read(&text, &size, path, DONE_BYTES);
        if (st == GT_OK) st = parse_marker(steps, text, size, path);
    }
    free(text);
    free(path);
    return st;
}

gt_status gt_run_done_clear(const char *folder)
{
    char *path = gt_fs_join(folder, DONE);
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    gt_status st = GT_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        st = GT_FAIL(GT_ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
    if (st == GT_OK) st = gt_fs_sync(folder);
    free(path);
    return st;
}
