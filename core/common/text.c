#include "text.h"

#include "checked.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool gt_begins_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

bool gt_ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Makes room for `more` bytes and a NUL. */
static bool reserve(gt_text *t, size_t more)
{
    size_t need;
    if (t->failed) return false;
    if (!gt_add_size(t->size, more, &need) || !gt_add_size(need, 1, &need)) {
        t->failed = true;
        return false;
    }
    if (need <= t->capacity) return true;
    size_t capacity = gt_max_size(t->capacity < SIZE_MAX / 2 ? t->capacity * 2 : SIZE_MAX, gt_max_size(need, 64));
    char *p = realloc(t->data, capacity);
    if (!p) {
        t->failed = true;
        return false;
    }
    t->data = p;
    t->capacity = capacity;
    return true;
}

void gt_text_add(gt_text *t, const char *bytes, size_t size)
{
    if (!reserve(t, size)) return;
    if (size > 0) memcpy(t->data + t->size, bytes, size);
    t->size += size;
    t->data[t->size] = '\0';
}

void gt_text_addf(gt_text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        t->failed = true;
        return;
    }
    if (!reserve(t, (size_t)n)) return;
    va_start(ap, fmt);
    vsnprintf(t->data + t->size, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->size += (size_t)n;
}

void gt_text_add_json_string(gt_text *t, const char *bytes, size_t size)
{
    gt_text_add(t, "\"", 1);
    size_t i = 0;
    while (i < size) {
        size_t plain = i;
        int n = 1;
        while (plain < size) {
            unsigned char c = (unsigned char)bytes[plain];
            if (c < 0x20 || c == '"' || c == '\\') break;
            n = gt_utf8_decode(bytes + plain, size - plain, NULL);
            if (n == 0) break;
            plain += (size_t)n;
        }
        gt_text_add(t, bytes + i, plain - i);
        i = plain;
        if (i == size) break;
        switch (bytes[i]) {
        case '"':
            gt_text_add(t, "\\\"", 2);
            break;
        case '\\':
            gt_text_add(t, "\\\\", 2);
            break;
        case '\n':
            gt_text_add(t, "\\n", 2);
            break;
        case '\t':
            gt_text_add(t, "\\t", 2);
            break;
        case '\r':
            gt_text_add(t, "\\r", 2);
            break;
        default:
            if ((unsigned char)bytes[i] < 0x20)
                gt_text_addf(t, "\\u%04x", (unsigned)bytes[i]);
            else
                gt_text_add(t, "\xef\xbf\xbd", 3);
        }
        i++;
    }
    gt_text_add(t, "\"", 1);
}

void gt_text_add_bytes(gt_text *t, uint64_t bytes)
{
    static const char *const unit[] = {"KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes / 1024;
    int u = 0;
    for (; v >= 1024 && u < 3; u++) v /= 1024;
    if (bytes < 1024)
        gt_text_addf(t, "%" PRIu64 " bytes", bytes);
    else
        gt_text_addf(t, "%.1f %s", v, unit[u]);
}

void gt_text_clear(gt_text *t)
{
    t->size = 0;
    t->failed = false;
    if (t->data) t->data[0] = '\0';
}

void gt_text_free(gt_text *t)
{
    if (!t) return;
    free(t->data);
    memset(t, 0, sizeof *t);
}

void gt_tame_text(char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        const bool low = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        const bool high =
            c == 0xc2 && i + 1 < size && ((unsigned char)bytes[i + 1] & 0xe0) == 0x80; /* U+0080 ... U+009F */
        if (low || high) bytes[i] = '?';
        if (high) bytes[++i] = '?';
    }
}
