#include "ckpt_draft.h"

#include "ckpt_folder.h"
#include "ckpt_h5.h"
#include "ckpt_manifest.h"

#include "fs.h"
#include "hash.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

gt_status gt_ckpt_draft_make(gt_ckpt_draft *d, const char *out_dir, const char *name)
{
    char path[sizeof d->path];
    const int n = snprintf(path, sizeof path, "%s/%s.tmp-%ld", out_dir, name, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof path) return GT_FAIL(GT_ERR_IO, "%.200s...: the path is too long", path);
    GT_TRY(gt_fs_remove_tree(path));
    if (mkdir(path, 0777) != 0)
        return GT_FAIL(GT_ERR_IO, "%s: cannot be made: %s; is the folder there, and writable?", path, strerror(errno));
    memcpy(d->path, path, (size_t)n + 1);
    return GT_OK;
}

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

gt_status gt_ckpt_draft_add_state(gt_ckpt_draft *d, const gt_train_state *s, const char *id)
{
    char sha256[65];
    gt_text about = {0};
    gt_manifest_state(&about, s, id);
    char *path = gt_fs_join(d->path, GT_CKPT_STATE_NAME);
    gt_status st = path && !about.failed ? gt_h5_write_state(path, s, id, about.data)
                                         : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", d->path);
    if (st == GT_OK) st = describe_file(&d->files, sha256, d->path, GT_CKPT_STATE_NAME);
    free(path);
    gt_text_free(&about);
    return st;
}

gt_status gt_ckpt_draft_add_part(gt_ckpt_draft *d, char sha256[65], int rank, const gt_ckpt_part *p, const char *id)
{
    char name[32];
    snprintf(name, sizeof name, "part-%d.h5", rank);
    const size_t before = d->parts.size;
    gt_manifest_part_line(&d->parts, name, rank, p);
    char *path = gt_fs_join(d->path, name);
    gt_status st = path && !d->parts.failed ? gt_h5_write_part(path, p, id, d->parts.data + before)
                                            : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", d->path);
    if (st == GT_OK) st = describe_file(&d->files, sha256, d->path, name);
    free(path);
    return st;
}

gt_status gt_ckpt_draft_seal(const gt_ckpt_draft *d, const gt_train_state *s, const char *id)
{
    gt_text t = {0};
    char *path = gt_fs_join(d->path, GT_MANIFEST_NAME);
    if (!path || d->parts.failed || d->files.failed) {
        free(path);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a manifest", d->path);
    }
    gt_status st =
        gt_manifest_compose(&t, s, id, d->parts.data ? d->parts.data : "", d->files.data ? d->files.data : "");
    if (st == GT_OK) st = gt_fs_write(path, t.data, t.size); /* fsyncs the folder as well */
    gt_text_free(&t);
    free(path);
    return st;
}

/* In one step also where a folder of that name is there: the two change places and the old one goes. Only a file system
 * that cannot exchange has a moment with neither. */
gt_status gt_ckpt_draft_publish(const gt_ckpt_draft *d, const char *out_dir, const char *name)
{
    const char *tmp = d->path;
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

gt_status gt_ckpt_draft_drop(const gt_ckpt_draft *d, gt_status st)
{
    const gt_error why = *gt_error_last();
    if (gt_fs_remove_tree(d->path) != GT_OK) gt_log(GT_WARN, "ckpt", "%s", gt_error_last()->message);
    return gt_error_restore(&why, st);
}

void gt_ckpt_draft_free(gt_ckpt_draft *d)
{
    gt_text_free(&d->parts);
    gt_text_free(&d->files);
}
