/* Every task once, whatever the number of threads: counted, since which worker takes a task is not to be known. */
#include "testing.h"

#include "pool.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { TASKS = 1000 };

typedef struct {
    atomic_int done[TASKS];
    atomic_int worst_worker;
    int threads;
} tally;

static void count_task(void *context, int task, int worker)
{
    tally *t = context;
    atomic_fetch_add(&t->done[task], 1);
    if (worker < 0 || worker >= t->threads) atomic_store(&t->worst_worker, 1);
}

static void every_task_runs_once_on_a_worker_of_the_pool(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8}, tasks[] = {0, 1, 2, 7, TASKS};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        gt_pool *p;
        assert_ok(gt_pool_create(&p, threads[i]));
        assert_int_equal(gt_pool_threads(p), threads[i]);
        for (size_t j = 0; j < sizeof tasks / sizeof *tasks; j++) {
            tally t;
            memset(&t, 0, sizeof t);
            t.threads = threads[i];
            gt_pool_run(p, tasks[j], count_task, &t);
            for (int k = 0; k < TASKS; k++) assert_int_equal(t.done[k], k < tasks[j]);
            assert_int_equal(t.worst_worker, 0);
        }
        gt_pool_destroy(p);
    }
}

static void runs_follow_each_other_without_loss_also_after_a_pause(void **state)
{
    (void)state;
    gt_pool *p;
    tally t;
    memset(&t, 0, sizeof t);
    t.threads = 4;
    assert_ok(gt_pool_create(&p, 4));
    for (int run = 0; run < 2000; run++) {
        if (run % 400 == 399) usleep(20000); /* long enough for the workers to sleep */
        gt_pool_run(p, 5, count_task, &t);
    }
    for (int k = 0; k < 5; k++) assert_int_equal(t.done[k], 2000);
    gt_pool_destroy(p);
}

static void no_pool_means_the_caller_in_order(void **state)
{
    (void)state;
    tally t;
    memset(&t, 0, sizeof t);
    t.threads = 1;
    gt_pool_run(NULL, 3, count_task, &t);
    assert_int_equal(t.done[2], 1);
    assert_int_equal(t.worst_worker, 0);
    assert_int_equal(gt_pool_threads(NULL), 1);
    gt_pool_destroy(NULL);
}

static void thread_counts_out_of_range_are_refused(void **state)
{
    (void)state;
    gt_pool *p;
    assert_fails(gt_pool_create(&p, 0), GT_ERR_ARG, "1 to 1024");
    assert_fails(gt_pool_create(&p, 1025), GT_ERR_ARG, "1 to 1024");
}

static void as_many_threads_as_asked_for_or_as_there_are_cpus(void **state)
{
    (void)state;
    assert_int_equal(gt_pool_threads_for(3), 3);
    cpu_set_t mine, one;
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    assert_int_equal(gt_pool_threads_for(0), CPU_COUNT(&mine));
    int first = 0;
    while (!CPU_ISSET(first, &mine)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(gt_pool_threads_for(0), 1);
    assert_int_equal(sched_setaffinity(0, sizeof mine, &mine), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once_on_a_worker_of_the_pool),
        cmocka_unit_test(runs_follow_each_other_without_loss_also_after_a_pause),
        cmocka_unit_test(no_pool_means_the_caller_in_order),
        cmocka_unit_test(thread_counts_out_of_range_are_refused),
        cmocka_unit_test(as_many_threads_as_asked_for_or_as_there_are_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
