#include "record_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 17 };

/* Reads on when everything was taken. */
static gt_status fill(gt_record_reader *r)
{
    if (r->begin < r->end || r->at_end) return GT_OK;
    ssize_t n;
    do n = read(r->fd, r->buffer, BUFFER);
    while (n < 0 && errno == EINTR);
    if (n < 0) return GT_FAIL(GT_ERR_IO, "%s: %s", r->path, strerror(errno));
    r->begin = 0;
    r->end = (size_t)n;
    r->at_end = n == 0;
    return GT_OK;
}

static gt_status pass_byte_order_mark(gt_record_reader *r)
{
    while (r->end < 3 && !r->at_end) { /* a file may come in very small pieces */
        ssize_t n = read(r->fd, r->buffer + r->end, BUFFER - r->end);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return GT_FAIL(GT_ERR_IO, "%s: %s", r->path, strerror(errno));
        r->end += (size_t)n;
        if (n == 0) break;
    }
    const char *b = r->buffer;
    if (r->end >= 3 && memcmp(b, "\xef\xbb\xbf", 3) == 0)
        r->begin = 3;
    else if (r->end >= 2 && (memcmp(b, "\xff\xfe", 2) == 0 || memcmp(b, "\xfe\xff", 2) == 0))
        return GT_FAIL(GT_ERR_DATA, "%s: is UTF-16; save it as UTF-8", r->path);
    return GT_OK;
}

gt_status gt_record_reader_open(gt_record_reader *out, const char *path, bool quotes)
{
    gt_record_reader r = {.fd = -1, .quotes = quotes, .next_line = 1};
    struct stat s;
    gt_status st = GT_OK;
    r.path = strdup(path);
    r.buffer = malloc(BUFFER);
    if (!r.path || !r.buffer)
        st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory to read it", path);
    else if ((r.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0 || fstat(r.fd, &s) != 0)
        st = GT_FAIL(GT_ERR_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(s.st_mode))
        st = GT_FAIL(GT_ERR_IO, "%s: is no regular file", path);
    if (st == GT_OK) st = pass_byte_order_mark(&r);
    if (st != GT_OK) {
        gt_record_reader_close(&r);
        return st;
    }
    *out = r;
    return GT_OK;
}

void gt_record_reader_close(gt_record_reader *r)
{
    if (!r || !r->path) {
        if (r) free(r->buffer);
        return;
    }
    if (r->fd >= 0) close(r->fd);
    free(r->path);
    free(r->buffer);
    gt_text_free(&r->record);
    *r = (gt_record_reader){.fd = -1};
}

/* Where in a record of quoted fields the reading is (RFC 4180): a quote opens a field only at its begin, and two quotes
 * in a row leave it and come back. */
typedef struct {
    bool field_begins, field_quoted, inside;
} quote_state;

/* The length of p[0..n) up to its record's end, n when it goes on. */
static size_t to_record_end(const char *p, size_t n, bool quotes, quote_state *q, uint64_t *lines)
{
    if (!quotes) {
        const char *newline = memchr(p, '\n', n);
        return newline ? (size_t)(newline - p) : n;
    }
    for (size_t i = 0; i < n; i++) {
        const char c = p[i];
        if (c == '\n' && !q->inside) return i;
        if (c == '\n') ++*lines;
        if (c == '"' && (q->field_begins || q->field_quoted)) {
            q->field_quoted = true;
            q->inside = !q->inside;
        }
        q->field_begins = c == ',' && !q->inside;
        if (q->field_begins) q->field_quoted = false;
    }
    return n;
}

/* One record into r->record, its line end taken off; *too_long when it was not kept. */
static gt_status take_record(gt_record_reader *r, bool *any, bool *too_long)
{
    quote_state q = {.field_begins = true};
    gt_text_clear(&r->record);
    *any = *too_long = false;
    r->line = r->next_line;
    for (;;) {
        GT_TRY(fill(r));
        if (r->begin == r->end) return GT_OK;
        *any = true;
        const char *p = r->buffer + r->begin;
        const size_t n = r->end - r->begin, length = to_record_end(p, n, r->quotes, &q, &r->next_line);
        if (length > GT_RECORD_LIMIT - r->record.size) *too_long = true;
        if (!*too_long) gt_text_add(&r->record, p, length);
        if (r->record.failed)
            return GT_FAIL(GT_ERR_NOMEM, "%s:%llu: no memory for a row", r->path, (unsigned long long)r->line);
        r->begin += length;
        if (length < n) {
            r->begin++;
            r->next_line++;
            return GT_OK;
        }
    }
}

static bool blank(const gt_text *t)
{
    for (size_t i = 0; i < t->size; i++)
        if (t->data[i] != ' ' && t->data[i] != '\t' && t->data[i] != '\r') return false;
    return true;
}

gt_status gt_record_reader_next(gt_record_reader *r, bool *more)
{
    bool any, too_long;
    do {
        GT_TRY(take_record(r, &any, &too_long));
        if (!any) {
            *more = false;
            return GT_OK;
        }
        *more = true;
    } while (!too_long && blank(&r->record));
    const unsigned long long line = r->line;
    if (too_long)
        return GT_FAIL(GT_ERR_DATA, "%s:%llu: a row of more than %d bytes%s", r->path, line, (int)GT_RECORD_LIMIT,
                       r->quotes ? "; is a quote left open?" : "");
    gt_text *t = &r->record;
    if (memchr(t->data, '\0', t->size)) return GT_FAIL(GT_ERR_DATA, "%s:%llu: a NUL byte in a row", r->path, line);
    if (t->data[t->size - 1] == '\r') t->data[--t->size] = '\0';
    return GT_OK;
}
