/* Who holds a folder: the lock is a process's own and dies with it, so the second holder here is a child. */
#include "testing.h"

#include "run_lock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_second_run_is_refused_and_told_who_holds_the_folder(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    char host[256] = "", pid[64];
    gethostname(host, 255);
    snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    setenv("SLURM_JOB_ID", "4711", 1);
    gt_run_lock *one = NULL, *two = NULL;
    assert_ok(gt_run_lock_take(&one, dir));
    unsetenv("SLURM_JOB_ID");
    assert_fails(gt_run_lock_take(&two, dir), GT_ERR_CONFIG, pid);
    assert_non_null(strstr(gt_error_last()->message, host));
    assert_non_null(strstr(gt_error_last()->message, "job 4711"));
    assert_non_null(strstr(gt_error_last()->message, dir));
    gt_run_lock_release(one);
    assert_ok(gt_run_lock_take(&two, dir));
    gt_run_lock_release(two);
    gt_run_lock_release(NULL);
}

static void a_lock_dies_with_its_process(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        gt_run_lock *l = NULL;
        const bool answer = gt_run_lock_take(&l, dir) == GT_OK;
        if (write(pipes[1], &answer, 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    bool answer = false;
    assert_int_equal(read(pipes[0], &answer, 1), 1);
    assert_true(answer);
    gt_run_lock *l = NULL;
    assert_fails(gt_run_lock_take(&l, dir), GT_ERR_CONFIG, "another run");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_ok(gt_run_lock_take(&l, dir)); /* its text is still there, and does not matter */
    gt_run_lock_release(l);
}

static void a_folder_that_cannot_be_written_is_an_io_error(void **state)
{
    (void)state;
    gt_run_lock *l = NULL;
    assert_fails(gt_run_lock_take(&l, "/nonexistent/folder"), GT_ERR_IO, "run.lock");
    char path[2048];
    const char *dir = temp_dir();
    snprintf(path, sizeof path, "%s/run.lock", dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_fails(gt_run_lock_take(&l, dir), GT_ERR_IO, "run.lock"); /* a link is not followed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_run_is_refused_and_told_who_holds_the_folder),
        cmocka_unit_test(a_lock_dies_with_its_process),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_an_io_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
