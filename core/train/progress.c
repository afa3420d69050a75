#include "progress.h"

#include "clock.h"
#include "log.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LINE_BYTES = 256 };

static bool is_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}

static void put(const char *text, size_t size)
{
    if (write(STDERR_FILENO, text, size) < 0) return; /* nowhere left to complain */
}

/* A line wider than the terminal would wrap and could not be drawn over. */
static size_t terminal_width(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col - 1u : 119;
}

static void draw(const char *text, bool terminal)
{
    char line[LINE_BYTES + 16];
    int n;
    if (terminal) {
        size_t width = terminal_width(), size = strlen(text);
        n = snprintf(line, sizeof line, "\r%.*s\033[K", (int)(size < width ? size : width), text);
    } else
        n = snprintf(line, sizeof line, "%s\n", text);
    put(line, (size_t)n);
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

/* One piece of work. */

void gt_progress_begin(gt_progress *p, const char *what, uint64_t total, const char *unit)
{
    *p = (gt_progress){.what = what, .unit = unit, .total = total, .began = gt_clock()};
    p->shown = p->began;
}

void gt_progress_at(gt_progress *p, uint64_t done)
{
    double t = gt_clock(), spent = t - p->began;
    bool terminal = is_terminal();
    if (spent < 2 || !gt_log_on(GT_INFO, "progress")) return;
    if (p->drawn && t - p->shown < (terminal ? 0.2 : 10)) return;
    double scale = p->unit ? 1 : 1e-6, rate = (double)done / spent;
    const char *unit = p->unit ? p->unit : "MB";
    char text[LINE_BYTES], left[32] = "";
    int n = snprintf(text, sizeof text, "%s", p->what);
    if (p->total) {
        double part = (double)done / (double)p->total;
        n += snprintf(text + n, sizeof text - (size_t)n, "  %.0f %%  %.0f / %.0f %s", 100 * part, (double)done * scale,
                      (double)p->total * scale, unit);
        if (rate > 0 && done <= p->total) gt_duration_text(left, (double)(p->total - done) / rate);
    } else
        n += snprintf(text + n, sizeof text - (size_t)n, "  %.0f %s", (double)done * scale, unit);
    n += snprintf(text + n, sizeof text - (size_t)n, "  %.3g %s/s", rate * scale, unit);
    if (*left) snprintf(text + n, sizeof text - (size_t)n, "  %s left", left);
    draw(text, terminal);
    p->shown = t;
    p->drawn = true;
}

void gt_progress_end(gt_progress *p)
{
    if (p->drawn && is_terminal()) put("\r\033[K", 4);
    p->drawn = false;
}

/* Training. */

__attribute__((format(printf, 3, 4))) static void add(char *out, size_t size, const char *fmt, ...)
{
    size_t n = strlen(out);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out + n, size - n, fmt, ap);
    va_end(ap);
}

void gt_train_line_text(char *out, size_t size, const gt_train_line *l)
{
    out[0] = 0;
    add(out, size, "step %lld/%lld", (long long)l->step, (long long)l->steps);
    if (l->micro < l->micros) add(out, size, "  micro %lld/%lld", (long long)l->micro, (long long)l->micros);
    if (!isnan(l->loss)) add(out, size, "  loss %.4g", l->loss);
    if (!isnan(l->learning_rate)) add(out, size, "  lr %.3g", l->learning_rate);
    if (!isnan(l->grad_norm)) add(out, size, "  grad %.3g", l->grad_norm);
    if (l->tokens_per_second > 0) add(out, size, "  %.0f tokens/s", l->tokens_per_second);
    if (l->flops_per_second > 0) add(out, size, "  %.3g TFLOP/s", l->flops_per_second * 1e-12);
    if (l->memory > 0) add(out, size, "  %.2f GiB", (double)l->memory / 0x1p30);
    if (l->seconds_left >= 0) {
        char left[32];
        gt_duration_text(left, l->seconds_left);
        add(out, size, "  %s left", left);
    }
}

void gt_train_progress_show(gt_train_progress *p, const gt_train_line *l)
{
    if (!gt_log_on(GT_INFO, "progress")) return;
    bool terminal = is_terminal(), finished = l->micro >= l->micros;
    double since = gt_clock() - p->shown;
    if (terminal) {
        if (p->drawn && since < 0.1 && !(finished && l->step == l->steps)) return;
    } else if (finished) {
        bool must = l->step == l->steps || p->shown_step == 0;
        if (l->step == p->shown_step || (since < 1 && !must)) return;
        p->shown_step = l->step;
    } else if (p->shown == 0) {
        p->shown = gt_clock(); /* half a minute from the first call on */
        return;
    } else if (since < 30)
        return;
    char text[LINE_BYTES];
    gt_train_line_text(text, sizeof text, l);
    draw(text, terminal);
    p->shown = gt_clock();
    p->drawn = true;
}

void gt_train_progress_end(gt_train_progress *p)
{
    if (p->drawn && is_terminal()) put("\n", 1);
    p->drawn = false;
}
