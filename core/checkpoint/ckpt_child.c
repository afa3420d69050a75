#include "ckpt_child.h"

#include "checked.h"
#include "clock.h"
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXTRA_MEMORY = 512 << 20, HEAD = 4096 };

/* At the start of the shared memory: how the work ended. */
typedef struct {
    bool done;
    gt_status st;
    gt_error error;
} head;
_Static_assert(sizeof(head) <= HEAD, "the head has its page");

/* Address space in use: the limit is on what is added to it. */
static size_t address_space(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%zu", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit(int resource, size_t most)
{
    struct rlimit r = {most, most}, old;
    if (getrlimit(resource, &old) == 0 && old.rlim_max < r.rlim_max) r.rlim_cur = r.rlim_max = old.rlim_max;
    setrlimit(resource, &r);
}

static void be_child(head *h, gt_status (*work)(void *, void *), void *context, void *shared, double seconds,
                     pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); /* it died before the line above */
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGALRM};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], SIG_DFL);
    signal(SIGINT, SIG_IGN); /* the terminal signals the whole group; the parent decides */
    signal(SIGUSR1, SIG_IGN);
    size_t used = address_space(), most;
    if (used && gt_add_size(used, EXTRA_MEMORY, &most)) limit(RLIMIT_AS, most);
    limit(RLIMIT_CPU, (size_t)seconds + 1);
    limit(RLIMIT_CORE, 0);
    h->st = work(context, shared);
    h->error = *gt_error_last();
    h->done = true;
    _exit(0); /* neither the parent's exit handlers nor its buffered output */
}

static gt_status wait_child(pid_t child, const char *what, double seconds, int *status)
{
    const double until = gt_clock() + seconds;
    for (;;) {
        pid_t p = waitpid(child, status, WNOHANG);
        if (p == child) return GT_OK;
        if (p < 0 && errno != EINTR) return GT_FAIL(GT_ERR_INTERNAL, "%s: waitpid: %s", what, strerror(errno));
        gt_status st = gt_signals_check();
        if (st == GT_OK && gt_clock() > until)
            st = GT_FAIL(GT_ERR_DATA, "%s: not read within %.0f s; the file is damaged or its disk does not answer",
                         what, seconds);
        if (st != GT_OK) {
            kill(child, SIGKILL);
            while (waitpid(child, status, 0) < 0 && errno == EINTR) {}
            return st;
        }
        nanosleep(&(struct timespec){0, 500000}, NULL);
    }
}

gt_status gt_child_run(void **shared_out, size_t bytes, gt_status (*work)(void *, void *), void *context,
                       const char *what, double seconds)
{
    size_t total;
    if (!gt_add_size(bytes, HEAD, &total)) return GT_FAIL(GT_ERR_ARG, "%s: %zu bytes", what, bytes);
    char *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu bytes: %s", what, bytes, strerror(errno));
    head *h = (head *)memory;
    const pid_t parent = getpid(), child = fork();
    gt_status st = GT_OK;
    int status = 0;
    if (child < 0)
        st = GT_FAIL(GT_ERR_NOMEM, "%s: fork: %s", what, strerror(errno));
    else if (child == 0)
        be_child(h, work, context, memory + HEAD, seconds, parent);
    else
        st = wait_child(child, what, seconds, &status);
    if (st == GT_OK && !h->done) {
        if (WIFSIGNALED(status))
            st = GT_FAIL(GT_ERR_DATA, "%s: its reader ended by signal %d (%s); the file is damaged", what,
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
            st = GT_FAIL(GT_ERR_DATA, "%s: its reader ended without an answer", what);
    }
    if (st == GT_OK && h->st != GT_OK) {
        h->error.message[sizeof h->error.message - 1] = 0;
        st = GT_FAIL(h->st, "%s", h->error.message);
    }
    if (st != GT_OK) {
        munmap(memory, total);
        return st;
    }
    *shared_out = memory + HEAD;
    return GT_OK;
}

void gt_child_free(void *shared, size_t bytes)
{
    if (shared) munmap((char *)shared - HEAD, bytes + HEAD);
}
