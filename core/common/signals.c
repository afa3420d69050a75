#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t save_asked, stop_asked;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        save_asked = 1;
    else {
        if (stop_asked && number == SIGINT) {
            signal(SIGINT, SIG_DFL);
            raise(SIGINT);
        }
        stop_asked = number;
    }
}

gt_status gt_signals_install(void)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_signal;
    act.sa_flags = SA_RESTART;
    sigemptyset(&act.sa_mask);
    static const int numbers[] = {SIGUSR1, SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < 4; i++)
        if (sigaction(numbers[i], &act, NULL) != 0)
            return GT_FAIL(GT_ERR_INTERNAL, "sigaction(%d): %s", numbers[i], strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    return GT_OK;
}

bool gt_signals_save_asked(void)
{
    return save_asked != 0;
}
int gt_signals_stop_asked(void)
{
    return stop_asked;
}

gt_status gt_signals_check(void)
{
    if (!stop_asked) return GT_OK;
    return GT_FAIL(GT_ERR_INTERRUPTED, "stopped by signal %d (%s)", (int)stop_asked, strsignal(stop_asked));
}
