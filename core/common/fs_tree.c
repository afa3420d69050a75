/* fs_remove.c - removal of a folder by descriptors, so that nobody who swaps a folder for a link meanwhile can lead us
 * outside of it. */
#include "fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_LIMIT = 64 }; /* a folder of ours is three deep */

static gt_status remove_at(int at, const char *name, const char *shown, int depth);

static gt_status remove_entries(int fd, const char *shown, int depth)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return GT_FAIL(GT_ERR_IO, "%s: %s", shown, strerror(errno));
    }
    gt_status st = GT_OK;
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e) {
            if (errno != 0) st = GT_FAIL(GT_ERR_IO, "%s: %s", shown, strerror(errno));
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        st = remove_at(dirfd(d), e->d_name, shown, depth + 1);
        if (st != GT_OK) break;
    }
    closedir(d);
    return st;
}

static gt_status remove_at(int at, const char *name, const char *shown, int depth)
{
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT) return GT_OK;
    if (errno != EISDIR && errno != EPERM)
        return GT_FAIL(GT_ERR_IO, "%s: '%s' cannot be removed: %s", shown, name, strerror(errno));
    if (depth > DEPTH_LIMIT) return GT_FAIL(GT_ERR_IO, "%s: folders nest deeper than %d", shown, (int)DEPTH_LIMIT);
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return GT_FAIL(GT_ERR_IO, "%s: '%s' cannot be opened: %s", shown, name, strerror(errno));
    GT_TRY(remove_entries(fd, shown, depth));
    if (unlinkat(at, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return GT_FAIL(GT_ERR_IO, "%s: '%s' cannot be removed: %s", shown, name, strerror(errno));
    return GT_OK;
}

gt_status gt_fs_remove_tree(const char *path)
{
    return remove_at(AT_FDCWD, path, path, 0);
}
