/* Clocks are compared with sleeps and with limits that a busy machine keeps: a test here may run late, never early. */
#include "testing.h"

#include "clock.h"

#include <sys/wait.h>
#include <unistd.h>

static void the_clock_counts_seconds_and_never_goes_back(void **state)
{
    (void)state;
    const double begin = gt_clock();
    double last = begin;
    for (int i = 0; i < 10000; i++) {
        const double t = gt_clock();
        assert_true(t >= last);
        last = t;
    }
    usleep(50000);
    const double took = gt_clock() - begin;
    assert_true(took >= 0.05); /* a sleep may be longer than asked on a busy machine, never shorter */
    assert_true(took < 60);
}

/* A child's age is its own: a few clock ticks (10 ms) where the parent, who waited first, is older. */
static void a_process_knows_when_it_was_started(void **state)
{
    (void)state;
    usleep(300000);
    const double mine = gt_process_age();
    assert_true(mine >= 0.29 && mine < 600);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        const double age = gt_process_age();
        _exit(write(ends[1], &age, sizeof age) != sizeof age);
    }
    double age;
    assert_int_equal(read(ends[0], &age, sizeof age), sizeof age);
    waitpid(child, NULL, 0);
    assert_true(age > -0.02 && age <= gt_process_age() - 0.27);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_counts_seconds_and_never_goes_back),
        cmocka_unit_test(a_process_knows_when_it_was_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
