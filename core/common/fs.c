#include "fs.h"

#include "checked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens an existing regular file for reading. O_NONBLOCK, so that a fifo is refused instead of waited for. */
static gt_status open_regular(int *fd, size_t *size, const char *path)
{
    int f = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f < 0) return GT_FAIL(GT_ERR_IO, "%s: %s", path, strerror(errno));
    struct stat s;
    if (fstat(f, &s) != 0) {
        gt_status st = GT_FAIL(GT_ERR_IO, "%s: %s", path, strerror(errno));
        close(f);
        return st;
    }
    if (!S_ISREG(s.st_mode)) {
        close(f);
        return GT_FAIL(GT_ERR_IO, "%s: is %s; expected a regular file", path,
                       S_ISDIR(s.st_mode)    ? "a folder"
                       : S_ISFIFO(s.st_mode) ? "a fifo"
                                             : "a device or socket");
    }
    *fd = f;
    *size = (size_t)s.st_size;
    return GT_OK;
}

gt_status gt_map_open(gt_map *out, const char *path)
{
    int fd;
    size_t size;
    GT_TRY(open_regular(&fd, &size, path));
    gt_map m = {NULL, size, strdup(path)};
    gt_status st = m.path ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", path);
    if (st == GT_OK && size > 0) {
        void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            st = GT_FAIL(GT_ERR_IO, "%s: cannot map %zu bytes: %s", path, size, strerror(errno));
        else
            m.data = p;
    }
    close(fd);
    if (st != GT_OK) {
        free(m.path);
        return st;
    }
    *out = m;
    return GT_OK;
}

void gt_map_close(gt_map *m)
{
    if (!m) return;
    if (m->data) munmap((void *)m->data, m->size);
    free(m->path);
    memset(m, 0, sizeof *m);
}

gt_status gt_fs_read(char **out, size_t *size, const char *path, size_t limit)
{
    int fd;
    size_t n, got = 0;
    GT_TRY(open_regular(&fd, &n, path));
    if (n > limit) {
        close(fd);
        return GT_FAIL(GT_ERR_DATA, "%s: %zu bytes; at most %zu are read", path, n, limit);
    }
    char *text = malloc(n + 1);
    gt_status st = text ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu bytes", path, n);
    while (st == GT_OK && got < n) {
        ssize_t r = read(fd, text + got, n - got);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0)
            st = GT_FAIL(GT_ERR_IO, "%s: %s", path, strerror(errno));
        else if (r == 0)
            break; /* cut while we read: what is there is the file */
        else
            got += (size_t)r;
    }
    close(fd);
    if (st != GT_OK) {
        free(text);
        return st;
    }
    text[got] = '\0';
    *out = text;
    *size = got;
    return GT_OK;
}

gt_status gt_new_file_open(gt_new_file *out, const char *path)
{
    gt_new_file f = {-1, strdup(path), NULL};
    if (!f.path || asprintf(&f.tmp, "%s.tmp.%ld", path, (long)getpid()) < 0) {
        free(f.path);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", path);
    }
    f.fd = open(f.tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (f.fd < 0) {
        gt_status st = GT_FAIL(GT_ERR_IO, "%s: cannot be created: %s", f.tmp, strerror(errno));
        free(f.path);
        free(f.tmp);
        return st;
    }
    *out = f;
    return GT_OK;
}

gt_status gt_new_file_write(gt_new_file *f, const void *data, size_t size)
{
    const char *p = data;
    while (size > 0) {
        ssize_t w = write(f->fd, p, size);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return GT_FAIL(GT_ERR_IO, "%s: cannot be written: %s", f->path, strerror(errno));
        p += w;
        size -= (size_t)w;
    }
    return GT_OK;
}

gt_status gt_new_file_publish(gt_new_file *f)
{
    gt_status st = GT_OK;
    if (fsync(f->fd) != 0) st = GT_FAIL(GT_ERR_IO, "%s: fsync: %s", f->path, strerror(errno));
    int closed = close(f->fd);
    f->fd = -1;
    if (st == GT_OK && closed != 0) st = GT_FAIL(GT_ERR_IO, "%s: close: %s", f->path, strerror(errno));
    if (st == GT_OK) st = gt_fs_publish(f->tmp, f->path);
    if (st == GT_OK) { /* the temporary name is gone: nothing for abandon to remove */
        free(f->tmp);
        f->tmp = NULL;
    }
    gt_new_file_abandon(f);
    return st;
}

void gt_new_file_abandon(gt_new_file *f)
{
    if (!f || !f->path) return;
    if (f->fd >= 0) close(f->fd);
    if (f->tmp) unlink(f->tmp);
    free(f->path);
    free(f->tmp);
    *f = (gt_new_file){-1, NULL, NULL};
}

gt_status gt_fs_write(const char *path, const void *data, size_t size)
{
    gt_new_file f;
    GT_TRY(gt_new_file_open(&f, path));
    gt_status st = gt_new_file_write(&f, data, size);
    if (st == GT_OK) return gt_new_file_publish(&f);
    gt_new_file_abandon(&f);
    return st;
}

/* The folder that holds path, malloc'ed: "a/b/" and "a/b" give "a", "b" gives ".", "/b" gives "/". */
static char *parent_of(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    while (n > 0 && path[n - 1] != '/') n--;
    while (n > 1 && path[n - 1] == '/') n--;
    return n == 0 ? strdup(".") : strndup(path, n);
}

gt_status gt_fs_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return GT_FAIL(GT_ERR_IO, "%s: %s", path, strerror(errno));
    gt_status st = GT_OK;
    /* EINVAL: a file system that has nothing to sync for a folder */
    if (fsync(fd) != 0 && errno != EINVAL) st = GT_FAIL(GT_ERR_IO, "%s: fsync: %s", path, strerror(errno));
    close(fd);
    return st;
}

static gt_status with_parent(const char *path, gt_status (*act)(const char *folder))
{
    char *parent = parent_of(path);
    if (!parent) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", path);
    const gt_status st = act(parent);
    free(parent);
    return st;
}

gt_status gt_fs_sync_parent(const char *path)
{
    return with_parent(path, gt_fs_sync);
}

gt_status gt_fs_make_parent(const char *path)
{
    return with_parent(path, gt_fs_make_dirs);
}

gt_status gt_fs_publish(const char *tmp, const char *path)
{
    if (rename(tmp, path) != 0)
        return GT_FAIL(GT_ERR_IO, "%s: cannot be renamed to %s: %s", tmp, path, strerror(errno));
    return gt_fs_sync_parent(path);
}

gt_status gt_fs_make_dirs(const char *path)
{
    char *p = strdup(path);
    if (!p) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", path);
    gt_status st = GT_OK;
    for (char *at = p + (*p == '/'); st == GT_OK; at++) {
        if (*at != '/' && *at != '\0') continue;
        char kept = *at;
        *at = '\0';
        if (*p && mkdir(p, 0777) != 0 && !(errno == EEXIST && gt_fs_is_dir(p)))
            st = GT_FAIL(GT_ERR_IO, "%s: folder cannot be made: %s", p, strerror(errno));
        *at = kept;
        if (kept == '\0') break;
    }
    free(p);
    return st;
}

bool gt_fs_exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

bool gt_fs_is_dir(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

bool gt_fs_holds(const char *folder, const char *name)
{
    char *path = gt_fs_join(folder, name);
    const bool there = path && gt_fs_exists(path);
    free(path);
    return there;
}

char *gt_fs_join(const char *folder, const char *name)
{
    char *out;
    size_t n = strlen(folder);
    const char *slash = n == 0 || folder[n - 1] == '/' ? "" : "/";
    return asprintf(&out, "%s%s%s", folder, slash, name) < 0 ? NULL : out;
}

bool gt_fs_safe_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > 255 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool good = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-';
        if (!good) return false;
    }
    return true;
}
