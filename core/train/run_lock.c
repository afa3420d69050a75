#include "run_lock.h"

#include "fs.h"
#include "json.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct gt_run_lock {
    int fd;
    char *path; /* owned */
};

static void this_host(char host[256])
{
    if (gethostname(host, 255) != 0) snprintf(host, 256, "unknown");
    host[255] = 0;
}

/* Who wrote the lock's text: "pid 12 on host n1, job 7". Empty after an orderly end. */
typedef struct {
    long pid;
    char host[256], job[64];
} holder;

static bool read_holder(int fd, holder *h)
{
    char text[512];
    memset(h, 0, sizeof *h);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0) return false;
    text[n] = 0;
    return sscanf(text, "pid %ld on host %255[^,\n], job %63[^\n]", &h->pid, h->host, h->job) >= 2;
}

static gt_status write_holder(int fd, const char *path)
{
    char host[256], text[512];
    this_host(host);
    const char *job = getenv("SLURM_JOB_ID");
    int n = snprintf(text, sizeof text, "pid %ld on host %s, job %.60s\n", (long)getpid(), host, job ? job : "none");
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
        return GT_FAIL(GT_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return GT_OK;
}

static gt_status held(const char *folder, const holder *h, const char *path)
{
    return GT_FAIL(GT_ERR_CONFIG,
                   "%s: another run works in this folder: pid %ld on host %s, job %s; wait for it, or take another "
                   "output_dir (lock: %s)",
                   folder, h->pid, h->host[0] ? h->host : "unknown", h->job[0] ? h->job : "unknown", path);
}

/* Where the file system knows no locks, the text decides: only a dead process of this host is known to be dead. */
static gt_status judge_by_text(int fd, const char *folder, const char *path)
{
    holder h;
    char host[256];
    this_host(host);
    if (!read_holder(fd, &h)) return GT_OK;
    if (strcmp(h.host, host) == 0 &&
        (h.pid <= 0 || h.pid == (long)getpid() || (kill((pid_t)h.pid, 0) != 0 && errno == ESRCH)))
        return GT_OK;
    return held(folder, &h, path);
}

static gt_status take(int fd, const char *folder, const char *path)
{
    holder h;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno == EWOULDBLOCK) {
            read_holder(fd, &h);
            return held(folder, &h, path);
        }
        if (errno != ENOLCK && errno != ENOTSUP && errno != ENOSYS && errno != EINVAL)
            return GT_FAIL(GT_ERR_IO, "%s: flock: %s", path, strerror(errno));
        GT_TRY(judge_by_text(fd, folder, path));
        break;
    }
    if (read_holder(fd, &h))
        gt_log(GT_INFO, "run", "%s: taking over from pid %ld on host %s, job %s, which is gone", folder, h.pid, h.host,
               h.job);
    return write_holder(fd, path);
}

/* Whether path still names the file that fd is: its last holder may have discarded it between open and lock. */
static bool still_there(int fd, const char *path)
{
    struct stat mine, named;
    return fstat(fd, &mine) == 0 && lstat(path, &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

static gt_status open_and_take(int *out, const char *folder, const char *path)
{
    for (;;) {
        const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0) return GT_FAIL(GT_ERR_IO, "%s: cannot be opened for writing: %s", path, strerror(errno));
        const gt_status st = take(fd, folder, path);
        if (st == GT_OK && still_there(fd, path)) {
            *out = fd;
            return GT_OK;
        }
        close(fd);
        if (st != GT_OK) return st;
    }
}

gt_status gt_run_lock_take(gt_run_lock **out, const char *folder)
{
    gt_run_lock *l = calloc(1, sizeof *l);
    if (!l || !(l->path = gt_fs_join(folder, GT_RUN_LOCK_NAME))) {
        free(l);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a lock", folder);
    }
    const gt_status st = open_and_take(&l->fd, folder, l->path);
    if (st != GT_OK) {
        free(l->path);
        free(l);
        return st;
    }
    *out = l;
    return GT_OK;
}

void gt_run_lock_release(gt_run_lock *l)
{
    if (!l) return;
    if (ftruncate(l->fd, 0) != 0) gt_log(GT_DEBUG, "run", "the lock's text stays: %s", strerror(errno));
    close(l->fd); /* and with it the lock */
    free(l->path);
    free(l);
}

void gt_run_lock_discard(gt_run_lock *l)
{
    unlink(l->path); /* while it is ours: who opens it meanwhile finds out (still_there) */
    gt_run_lock_release(l);
}
