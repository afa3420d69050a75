/* fs_tree.c - how folders and leftovers go. A tree is removed by descriptors, so that nobody who swaps a folder for a
 * link meanwhile can lead us outside of it; a leftover is known by the name that fs.h and its users give to what they
 * have not finished. */
#include "fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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

/* Bytes of entry in front of ".tmp.<pid>" or ".tmp-<pid>"; 0 when it is no such name. */
static size_t stem_of(const char *entry)
{
    size_t n = strlen(entry), digits = 0;
    while (n > 0 && entry[n - 1] >= '0' && entry[n - 1] <= '9') n--, digits++;
    if (digits == 0 || n <= 5) return 0;
    return memcmp(entry + n - 5, ".tmp.", 5) == 0 || memcmp(entry + n - 5, ".tmp-", 5) == 0 ? n - 5 : 0;
}

/* Removes a file whose lock is free, while holding that lock: its owner is gone, or will see that it lost the file. */
static gt_status remove_unlocked(int folder, const char *name, const char *shown)
{
    const int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat s;
    gt_status st = GT_OK;
    if (fd < 0) return errno == ENOENT ? GT_OK : GT_FAIL(GT_ERR_IO, "%s/%s: %s", shown, name, strerror(errno));
    if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        unlinkat(folder, name, 0) != 0 && errno != ENOENT)
        st = GT_FAIL(GT_ERR_IO, "%s/%s: cannot be removed: %s", shown, name, strerror(errno));
    close(fd);
    return st;
}

static gt_status remove_any(const char *folder, const char *name)
{
    char *path = gt_fs_join(folder, name);
    const gt_status st = path ? gt_fs_remove_tree(path) : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    free(path);
    return st;
}

gt_status gt_fs_sweep(const char *folder, bool (*ours)(const char *name), gt_sweep which)
{
    DIR *d = opendir(folder);
    if (!d) return GT_FAIL(GT_ERR_IO, "%s: %s", folder, strerror(errno));
    gt_status st = GT_OK;
    for (struct dirent *e; (e = readdir(d));) {
        char stem[sizeof e->d_name];
        const size_t n = stem_of(e->d_name);
        memcpy(stem, e->d_name, n);
        stem[n] = '\0';
        if (n == 0 || !ours(stem)) continue;
        const gt_status one =
            which == GT_SWEEP_ALL ? remove_any(folder, e->d_name) : remove_unlocked(dirfd(d), e->d_name, folder);
        if (st == GT_OK) st = one;
    }
    closedir(d);
    return st;
}
