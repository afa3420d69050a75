#include "standard_input.h"

#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* read(2) is restarted after a signal and would wait on, so it is asked only when it has something to give. */
gt_status gt_standard_input_read(char *buffer, size_t capacity, size_t *got)
{
    enum { LOOK_UP_MS = 100 }; /* for a signal that came just before the wait */
    for (;;) {
        GT_TRY(gt_signals_check());
        struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
        int ready = poll(&wait, 1, LOOK_UP_MS);
        if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        ssize_t n = ready < 0 ? -1 : read(STDIN_FILENO, buffer, capacity);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0) return GT_FAIL(GT_ERR_IO, "standard input: %s", strerror(errno));
        *got = (size_t)n;
        return GT_OK;
    }
}
