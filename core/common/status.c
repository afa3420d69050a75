#include "status.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local gt_error last;

const gt_error *gt_error_last(void)
{
    return &last;
}

gt_status gt_fail_(gt_status code, const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    char text[sizeof last.message]; /* an argument may point into the record itself */
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    gt_tame_text(text, strlen(text));
    memcpy(last.message, text, sizeof text);
    last.code = code;
    last.file = file;
    last.line = line;
    last.elsewhere = false;
    return code;
}

gt_status gt_error_restore(const gt_error *e, gt_status code)
{
    last = *e;
    last.code = code;
    return code;
}

gt_status gt_error_prefix(const char *fmt, ...)
{
    char text[sizeof last.message];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0) n = 0;
    if ((size_t)n < sizeof text - 1) {
        strncat(text, ": ", sizeof text - strlen(text) - 1);
        strncat(text, last.message, sizeof text - strlen(text) - 1);
    }
    memcpy(last.message, text, sizeof text);
    return last.code;
}

int gt_status_exit_code(gt_status code)
{
    switch (code) {
    case GT_OK:
        return 0;
    case GT_ERR_USAGE:
        return 64;
    case GT_ERR_DATA:
        return 65;
    case GT_ERR_CONFIG:
        return 78;
    case GT_ERR_IO:
        return 74;
    case GT_ERR_NOMEM:
    case GT_ERR_LOST:
    case GT_ERR_INTERRUPTED:
        return 75;
    case GT_ERR_DEVICE:
    case GT_ERR_ARG:
    case GT_ERR_INTERNAL:
        break;
    }
    return 70;
}
