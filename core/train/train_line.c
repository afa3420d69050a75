#include "train_line.h"

#include "clock.h"
#include "log.h"
#include "progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 256 };

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
    const bool terminal = gt_progress_on_terminal(), finished = l->micro >= l->micros;
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
    gt_progress_draw(text);
    p->shown = gt_clock();
    p->drawn = true;
}

void gt_train_progress_end(gt_train_progress *p)
{
    if (p->drawn && gt_progress_on_terminal()) gt_progress_put("\n");
    p->drawn = false;
}
