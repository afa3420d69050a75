#include "metrics.h"

#include "fs.h"
#include "json.h"
#include "json_write.h"
#include "log.h"
#include "tfevents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gt_metrics {
    int fd;
    bool torn;           /* the last write failed half-way: the next line begins with a newline */
    char *path;          /* owned */
    gt_tfevents *events; /* or NULL */
};

enum { METRICS_MAX = 32, METRICS_FILE_BYTES = 1 << 30, DIGITS = 9 /* a float's */ };

/* Whether a line is whole and of a step to be kept. */
static bool keeps(const char *line, size_t size, const char *path, int64_t resumed_step)
{
    gt_json_doc *d;
    if (gt_json_parse(&d, line, size, path) != GT_OK) return false;
    const gt_json *step = gt_json_get(gt_json_root(d), "step");
    bool keep = step && step->is_integer && step->integer <= resumed_step;
    gt_json_free(d);
    return keep;
}

/* Rewrites the file without lines of later steps; leaves it alone when there are none. */
static gt_status drop_later(const char *path, int64_t resumed_step)
{
    char *text;
    size_t size;
    if (!gt_fs_exists(path)) return GT_OK;
    GT_TRY(gt_fs_read(&text, &size, path, METRICS_FILE_BYTES));
    size_t kept = 0;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t line = end ? (size_t)(end - (text + at)) : size - at;
        if (end && line && keeps(text + at, line, path, resumed_step)) {
            memmove(text + kept, text + at, line + 1);
            kept += line + 1;
        }
        at += line + 1;
    }
    gt_status st = kept == size ? GT_OK : gt_fs_write(path, text, kept);
    free(text);
    return st;
}

gt_status gt_metrics_open(gt_metrics **out, const char *folder, int64_t resumed_step, bool tensorboard)
{
    gt_metrics *m = calloc(1, sizeof *m);
    char *runs = gt_fs_join(folder, "runs");
    gt_status st = GT_OK;
    if (m) m->fd = -1;
    if (!m || !runs || !(m->path = gt_fs_join(folder, "metrics.jsonl")))
        st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for the metrics", folder);
    if (st == GT_OK) st = drop_later(m->path, resumed_step);
    if (st == GT_OK && (m->fd = open(m->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) < 0)
        st = GT_FAIL(GT_ERR_IO, "%s: %s", m->path, strerror(errno));
    if (st == GT_OK && tensorboard) st = gt_tfevents_open(&m->events, runs, resumed_step + 1);
    free(runs);
    if (st != GT_OK) {
        gt_metrics_close(m);
        return st;
    }
    *out = m;
    return GT_OK;
}

static gt_status write_line(gt_metrics *m, const gt_text *t)
{
    for (size_t at = 0; at < t->size;) {
        ssize_t n = write(m->fd, t->data + at, t->size - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            m->torn = m->torn || at > 0;
            return GT_FAIL(GT_ERR_IO, "%s: %s", m->path, strerror(n < 0 ? errno : ENOSPC));
        }
        at += (size_t)n;
    }
    m->torn = false;
    if (fdatasync(m->fd) != 0) return GT_FAIL(GT_ERR_IO, "%s: %s", m->path, strerror(errno));
    return GT_OK;
}

static gt_status write_events(gt_tfevents *e, int64_t step, double epoch, const gt_metric *metric, int count)
{
    GT_TRY(gt_tfevents_scalar(e, "train/epoch", step, epoch));
    for (int i = 0; i < count; i++) {
        char tag[80];
        bool eval = strncmp(metric[i].name, "eval_", 5) == 0;
        snprintf(tag, sizeof tag, "%s%s", eval ? "eval/" : "train/", metric[i].name + (eval ? 5 : 0));
        GT_TRY(gt_tfevents_scalar(e, tag, step, metric[i].value));
    }
    return gt_tfevents_flush(e);
}

gt_status gt_metrics_write(gt_metrics *m, int64_t step, double epoch, const gt_metric *metric, int count)
{
    if (count < 0 || count > METRICS_MAX) return GT_FAIL(GT_ERR_ARG, "%d metrics; at most %d", count, METRICS_MAX);
    gt_text t = {0};
    gt_json_writer w = {0};
    gt_json_node *line = gt_json_begin(&w);
    gt_json_add_int(&w, line, "step", step);
    gt_json_add_number(&w, line, "epoch", epoch, DIGITS);
    for (int i = 0; i < count; i++) gt_json_add_number(&w, line, metric[i].name, metric[i].value, DIGITS);
    if (m->torn) gt_text_addf(&t, "\n");
    gt_status st = gt_json_end(&w, &t, GT_JSON_LINE, m->path);
    gt_text_addf(&t, "\n");
    if (st == GT_OK && t.failed) st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a line", m->path);
    if (st == GT_OK) st = write_line(m, &t);
    gt_text_free(&t);
    if (st == GT_OK && m->events && write_events(m->events, step, epoch, metric, count) != GT_OK) {
        gt_log(GT_WARN, "metrics", "%s; event files end here, metrics.jsonl goes on", gt_error_last()->message);
        gt_tfevents_close(m->events);
        m->events = NULL;
    }
    return st;
}

void gt_metrics_close(gt_metrics *m)
{
    if (!m) return;
    if (m->fd >= 0) close(m->fd);
    gt_tfevents_close(m->events);
    free(m->path);
    free(m);
}
