#include "output_folder.h"

#include "fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether a file's name is one that models and adapters consist of. */
static bool is_model_file(const char *name)
{
    static const char *const ends[] = {".json", ".safetensors", ".txt", ".md", ".model", ".jinja", ".gitattributes"};
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t m = strlen(ends[i]);
        if (n >= m && strcmp(name + n - m, ends[i]) == 0) return true;
    }
    return false;
}

static gt_status check_entry(const char *path, const char *name, bool replace)
{
    struct stat info;
    char *full = gt_fs_join(path, name);
    if (!full) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", path);
    const bool regular = lstat(full, &info) == 0 && S_ISREG(info.st_mode);
    free(full);
    if (!replace)
        return GT_FAIL(GT_ERR_CONFIG,
                       "%s: exists and is not empty (it holds '%.100s'); choose another folder or pass --force", path,
                       name);
    if (!regular || !is_model_file(name))
        return GT_FAIL(GT_ERR_CONFIG,
                       "%s: holds '%.100s', which is no file of a model or adapter; it will not be replaced: choose "
                       "another folder",
                       path, name);
    return GT_OK;
}

gt_status gt_output_folder_check(const char *path, bool replace)
{
    struct stat info;
    if (lstat(path, &info) != 0) return errno == ENOENT ? GT_OK : GT_FAIL(GT_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode)) return GT_FAIL(GT_ERR_CONFIG, "%s: exists and is no folder; choose another name", path);
    DIR *dir = opendir(path);
    if (!dir) return GT_FAIL(GT_ERR_IO, "%s: %s", path, strerror(errno));
    gt_status st = GT_OK;
    for (struct dirent *e = readdir(dir); st == GT_OK && e; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) st = check_entry(path, e->d_name, replace);
    closedir(dir);
    return st;
}

gt_status gt_output_file_check(const char *path, bool replace)
{
    struct stat info;
    if (lstat(path, &info) != 0) return errno == ENOENT ? GT_OK : GT_FAIL(GT_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return GT_FAIL(GT_ERR_CONFIG, "%s: exists and is no regular file; choose another name", path);
    if (!replace) return GT_FAIL(GT_ERR_CONFIG, "%s: exists; choose another name or pass --force", path);
    return GT_OK;
}

/* Path without slashes at its end, so that names beside it can be made. */
static char *trimmed(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return strndup(path, n);
}

gt_status gt_output_folder_open(gt_output_folder *out, const char *path, bool replace)
{
    char *shown = trimmed(path), *tmp = NULL;
    if (!shown || asprintf(&tmp, "%s.tmp.%ld", shown, (long)getpid()) < 0) {
        free(shown);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", path);
    }
    const gt_output_folder f = {.path = shown, .tmp = tmp, .replace = replace};
    gt_status st = gt_output_folder_check(f.path, replace);
    if (st == GT_OK) st = gt_fs_make_parent(f.path);
    if (st == GT_OK && gt_fs_exists(f.tmp)) st = gt_fs_remove_tree(f.tmp);
    if (st == GT_OK && mkdir(f.tmp, 0777) != 0) st = GT_FAIL(GT_ERR_IO, "%s: %s", f.tmp, strerror(errno));
    if (st != GT_OK) {
        free(f.path);
        free(f.tmp);
        return st;
    }
    *out = f;
    return GT_OK;
}

/* Moves tmp to path where a folder with files stands: swapped in one step, so that path never is absent, then the old
 * one, which now bears the temporary name, is removed. */
static gt_status swap_in(const gt_output_folder *f)
{
    if (renameat2(AT_FDCWD, f->tmp, AT_FDCWD, f->path, RENAME_EXCHANGE) != 0)
        return GT_FAIL(GT_ERR_IO, "%s: cannot be replaced in one step (%s); remove it first", f->path, strerror(errno));
    GT_TRY(gt_fs_remove_tree(f->tmp));
    return gt_fs_sync_parent(f->path);
}

gt_status gt_output_folder_publish(gt_output_folder *f)
{
    gt_status st = gt_fs_sync(f->tmp);
    if (st == GT_OK) st = gt_output_folder_check(f->path, f->replace);
    if (st == GT_OK) {
        const bool empty = rmdir(f->path) == 0 || errno == ENOENT;
        st = empty ? gt_fs_publish(f->tmp, f->path) : swap_in(f);
    }
    if (st != GT_OK) {
        gt_output_folder_abandon(f);
        return st;
    }
    free(f->path);
    free(f->tmp);
    *f = (gt_output_folder){0};
    return GT_OK;
}

void gt_output_folder_abandon(gt_output_folder *f)
{
    if (f->tmp) gt_fs_remove_tree(f->tmp);
    free(f->path);
    free(f->tmp);
    *f = (gt_output_folder){0};
}
