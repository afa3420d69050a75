#include "progress.h"

#include "clock.h"
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LINE_BYTES = 256 };

bool gt_progress_on_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}

void gt_progress_put(const char *bytes)
{
    if (write(STDERR_FILENO, bytes, strlen(bytes)) < 0) return; /* nowhere left to complain */
}

/* A line wider than the terminal would wrap and could not be drawn over. */
static size_t terminal_width(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col - 1u : 119;
}

void gt_progress_draw(const char *text)
{
    char line[LINE_BYTES + 16];
    if (gt_progress_on_terminal())
        snprintf(line, sizeof line, "\r%.*s\033[K", (int)terminal_width(), text);
    else
        snprintf(line, sizeof line, "%s\n", text);
    gt_progress_put(line);
}

void gt_duration_text(char out[32], double seconds)
{
    if (seconds < 99.5)
        snprintf(out, 32, "%.0f s", seconds < 0 ? 0 : seconds);
    else if (seconds < 5970)
        snprintf(out, 32, "%.0f min", seconds / 60);
    else if (seconds < 99 * 3600.0) {
        int minutes = (int)(seconds / 60 + 0.5);
        snprintf(out, 32, "%d h %02d min", minutes / 60, minutes % 60);
    } else
        snprintf(out, 32, "%.0f days", seconds / 86400);
}

void gt_progress_begin(gt_progress *p, const char *what, uint64_t total, const char *unit)
{
    *p = (gt_progress){.what = what, .unit = unit, .total = total, .began = gt_clock()};
    p->shown = p->began;
}

void gt_progress_text(char *out, size_t size, const gt_progress *p, uint64_t done, double spent)
{
    const double all = (double)p->total, rate = (double)done / spent;
    const int n = snprintf(out, size, "%s  %.0f %%  %.0f / %.0f %s  %.3g %s/s", p->what, 100 * (double)done / all,
                           (double)done, all, p->unit, rate, p->unit);
    char left[32];
    if (rate <= 0 || done > p->total || n < 0 || (size_t)n >= size) return;
    gt_duration_text(left, (double)(p->total - done) / rate);
    snprintf(out + n, size - (size_t)n, "  %s left", left);
}

void gt_progress_at(gt_progress *p, uint64_t done)
{
    const double t = gt_clock(), spent = t - p->began;
    if (spent < 2 || !gt_log_on(GT_INFO, "progress")) return;
    if (p->drawn && t - p->shown < (gt_progress_on_terminal() ? 0.2 : 10)) return;
    char text[LINE_BYTES];
    gt_progress_text(text, sizeof text, p, done, spent);
    gt_progress_draw(text);
    p->shown = t;
    p->drawn = true;
}

void gt_progress_end(gt_progress *p)
{
    if (p->drawn && gt_progress_on_terminal()) gt_progress_put("\r\033[K");
    p->drawn = false;
}
