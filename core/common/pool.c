#include "pool.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A worker spins this many rounds for the next run before it sleeps: runs follow each other within microseconds during
 * a step, and a futex wake costs some 50 us. Kept short, so that ranks sharing cores do not starve each other. */
enum { SPIN_ROUNDS = 2000 };

struct gt_pool {
    int threads;
    pthread_t *thread; /* [threads - 1] */
    gt_task fn;
    void *context;
    int tasks;
    _Alignas(64) atomic_int next;   /* the next task to hand out */
    _Alignas(64) atomic_int active; /* workers still inside the current run */
    _Alignas(64) atomic_uint epoch; /* counts runs; workers wait on it */
    atomic_int sleepers;
    atomic_bool quit;
};

typedef struct {
    gt_pool *pool;
    int worker;
} start_arg;

static void futex_wait(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, (unsigned *)word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(atomic_uint *word)
{
    syscall(SYS_futex, (unsigned *)word, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
}

static void work(gt_pool *p, int worker)
{
    for (;;) {
        int task = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (task >= p->tasks) return;
        p->fn(p->context, task, worker);
    }
}

static void *worker_main(void *arg)
{
    start_arg start = *(start_arg *)arg;
    free(arg);
    gt_pool *p = start.pool;
    unsigned seen = 0;
    for (;;) {
        int spins = 0;
        while (atomic_load_explicit(&p->epoch, memory_order_acquire) == seen) {
            if (++spins < SPIN_ROUNDS)
                __builtin_ia32_pause();
            else {
                atomic_fetch_add(&p->sleepers, 1);
                futex_wait(&p->epoch, seen);
                atomic_fetch_sub(&p->sleepers, 1);
            }
        }
        seen++;
        if (atomic_load(&p->quit)) return NULL;
        work(p, start.worker);
        atomic_fetch_sub_explicit(&p->active, 1, memory_order_release);
    }
}

int gt_pool_threads_for(int asked)
{
    cpu_set_t set;
    if (asked > 0) return asked;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

gt_status gt_pool_create(gt_pool **out, int threads)
{
    if (threads < 1 || threads > 1024) return GT_FAIL(GT_ERR_ARG, "%d threads; expected 1 to 1024", threads);
    gt_pool *p = aligned_alloc(64, (sizeof *p + 63) & ~(size_t)63);
    if (!p) return GT_FAIL(GT_ERR_NOMEM, "no memory for a thread pool");
    memset(p, 0, sizeof *p);
    p->threads = 1;
    p->thread = calloc((size_t)threads, sizeof *p->thread);
    gt_status st = p->thread ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "no memory for a thread pool");
    for (int i = 1; i < threads && st == GT_OK; i++) {
        start_arg *arg = malloc(sizeof *arg);
        if (!arg) {
            st = GT_FAIL(GT_ERR_NOMEM, "no memory for a thread");
            break;
        }
        *arg = (start_arg){p, i};
        int e = pthread_create(&p->thread[i - 1], NULL, worker_main, arg);
        if (e != 0) {
            free(arg);
            st = GT_FAIL(GT_ERR_NOMEM, "thread %d of %d: %s; lower --threads", i, threads, strerror(e));
        } else
            p->threads = i + 1;
    }
    if (st != GT_OK) {
        gt_pool_destroy(p);
        return st;
    }
    *out = p;
    return GT_OK;
}

void gt_pool_destroy(gt_pool *p)
{
    if (!p) return;
    atomic_store(&p->quit, true);
    atomic_fetch_add(&p->epoch, 1);
    futex_wake_all(&p->epoch);
    for (int i = 1; i < p->threads; i++) pthread_join(p->thread[i - 1], NULL);
    free(p->thread);
    free(p);
}

int gt_pool_threads(const gt_pool *p)
{
    return p ? p->threads : 1;
}

void gt_pool_run(gt_pool *p, int tasks, gt_task fn, void *context)
{
    if (!p || p->threads == 1 || tasks <= 1) {
        for (int t = 0; t < tasks; t++) fn(context, t, 0);
        return;
    }
    p->fn = fn;
    p->context = context;
    p->tasks = tasks;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->active, p->threads - 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->epoch, 1, memory_order_seq_cst);
    if (atomic_load(&p->sleepers) > 0) futex_wake_all(&p->epoch);
    work(p, 0);
    int spins = 0;
    while (atomic_load_explicit(&p->active, memory_order_acquire) != 0) {
        if (++spins < SPIN_ROUNDS)
            __builtin_ia32_pause();
        else
            sched_yield();
    }
}
