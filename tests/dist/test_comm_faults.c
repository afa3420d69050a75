/* test_comm_faults.c - what becomes of the ranks when one of them is stopped, dead, gone or somewhere else. The program
 * starts itself under mpirun as `test_comm_faults ROLE`; the driver looks at exit code, words and time. */
#include "testing.h"

#include "clock.h"
#include "comm.h"
#include "signals.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The ranks. */

static int said(gt_status st)
{
    fprintf(stderr, "status %d: %s\n", (int)st, gt_error_last()->message);
    return gt_status_exit_code(st);
}

static int be_rank(const char *role)
{
    gt_comm *c = NULL;
    gt_status st = gt_comm_create(&c, 1.5);
    if (st != GT_OK) return said(st);
    const bool last = c->rank == c->size - 1;
    int64_t x[4] = {1, 2, 3, 4};
    st = gt_comm_sum_i64(c, x, 4);
    if (st != GT_OK) gt_comm_abort(c, said(st));
    if (strcmp(role, "stopped") == 0 && last) raise(SIGSTOP); /* MPI_Abort's SIGKILL ends it all the same */
    if (strcmp(role, "killed") == 0 && last) raise(SIGKILL);
    if (strcmp(role, "gone") == 0 && last) _exit(0);
    if (strcmp(role, "elsewhere") == 0 && last) {
        st = gt_comm_barrier(c);
        gt_comm_abort(c, said(st));
    }
    if (strcmp(role, "signal") == 0) {
        /* The last rank never comes; the others wait for it and are asked to stop. */
        if (gt_signals_install() != GT_OK) return 99;
        if (last) {
            pause();
            return 0;
        }
        if (fork() == 0) {
            usleep(300000);
            kill(getppid(), SIGTERM);
            _exit(0);
        }
        c->timeout_seconds = 60;
        double began = gt_clock();
        st = gt_comm_sum_i64(c, x, 4);
        fprintf(stderr, "%s after the signal\n", gt_clock() - began < 0.6 ? "at once" : "late");
        said(st);
        said(gt_comm_barrier(c)); /* a broken communicator answers at once */
        gt_comm_destroy(c);       /* and lets go at once */
        fprintf(stderr, "destroyed\n");
        _exit(7);
    }
    st = gt_comm_sum_i64(c, x, 4);
    if (st != GT_OK) gt_comm_abort(c, said(st));
    gt_comm_destroy(c);
    return 0;
}

/* The driver. */

static const char *self_path;

typedef struct {
    int exit_code;
    double seconds;
    char words[16384];
} outcome;

static outcome run(const char *before, int ranks, const char *role)
{
    static outcome o;
    memset(&o, 0, sizeof o);
    char command[2048];
    if (ranks)
        snprintf(command, sizeof command, "%s timeout -s KILL 30 mpirun -n %d %s %s 2>&1", before, ranks, self_path,
                 role);
    else
        snprintf(command, sizeof command, "%s timeout -s KILL 30 %s %s 2>&1", before, self_path, role);
    double began = gt_clock();
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t used = 0, n;
    while (used < sizeof o.words - 1 && (n = fread(o.words + used, 1, sizeof o.words - 1 - used, f)) > 0) used += n;
    int status = pclose(f);
    o.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    o.seconds = gt_clock() - began;
    return o;
}

static void assert_says(const outcome *o, const char *words)
{
    if (!strstr(o->words, words)) fail_msg("'%s' is not in: %s", words, o->words);
}

static void a_stopped_rank_is_named_and_the_job_ends_with_75(void **state)
{
    (void)state;
    outcome o = run("", 3, "stopped");
    assert_int_equal(o.exit_code, 75);
    assert_says(&o, "collective sum_i64");
    assert_says(&o, "no answer from rank 2 within");
    assert_true(o.seconds < 10); /* 1.5 s of deadline, the start, and mpirun's own 4 s to collect the stopped one */
}

static void a_killed_rank_ends_the_job(void **state)
{
    (void)state;
    outcome o = run("", 2, "killed");
    assert_int_not_equal(o.exit_code, 0);
    assert_true(o.seconds < 10);
}

static void a_rank_that_leaves_early_with_zero_does_not_pass_for_success(void **state)
{
    (void)state;
    outcome o = run("", 2, "gone");
    assert_int_not_equal(o.exit_code, 0);
    assert_true(o.seconds < 10);
}

static void ranks_in_different_collectives_fail_instead_of_hanging(void **state)
{
    (void)state;
    outcome o = run("", 2, "elsewhere");
    assert_int_equal(o.exit_code, 70);
    assert_says(&o, "barrier of 0 bytes");
    assert_says(&o, "sum_i64 of 32 bytes");
}

static void a_stop_signal_ends_the_wait_at_once(void **state)
{
    (void)state;
    outcome o = run("", 2, "signal");
    assert_int_not_equal(o.exit_code, 0);
    assert_says(&o, "at once after the signal");
    assert_says(&o, "status 1: stopped by signal 15");
    assert_says(&o, "after one that failed");
    assert_says(&o, "destroyed");
    assert_true(o.seconds < 10);
}

static void several_slurm_tasks_with_a_world_of_one_are_refused(void **state)
{
    (void)state;
    outcome o = run("SLURM_NTASKS=2", 0, "fine");
    assert_int_equal(o.exit_code, 78);
    assert_says(&o, "srun --mpi=pmix");
    o = run("SLURM_NTASKS=2", 1, "fine");
    assert_int_equal(o.exit_code, 78);
    o = run("SLURM_NTASKS=2", 2, "fine");
    assert_int_equal(o.exit_code, 0);
    o = run("SLURM_NTASKS=1", 0, "fine");
    assert_int_equal(o.exit_code, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) return be_rank(argv[1]);
    self_path = argv[0];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_rank_is_named_and_the_job_ends_with_75),
        cmocka_unit_test(a_killed_rank_ends_the_job),
        cmocka_unit_test(a_rank_that_leaves_early_with_zero_does_not_pass_for_success),
        cmocka_unit_test(ranks_in_different_collectives_fail_instead_of_hanging),
        cmocka_unit_test(a_stop_signal_ends_the_wait_at_once),
        cmocka_unit_test(several_slurm_tasks_with_a_world_of_one_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
