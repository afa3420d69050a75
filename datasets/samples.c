#include "samples.h"

#include "hash.h"
#include "log.h"
#include "row_sample.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_BAD_ROWS = 5 };

typedef struct {
    gt_samples samples;
    const gt_load_options *o;
    const gt_tokenizer *tok;
    gt_row_notes notes;
} load;

static gt_status keep_sample(gt_samples *s, gt_sample *made)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 256;
        gt_sample *p = reallocarray(s->sample, capacity, sizeof *p);
        if (!p) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu rows", capacity);
        s->sample = p;
        s->capacity = capacity;
    }
    s->sample[s->count++] = *made;
    s->tokens += (uint64_t)made->n;
    s->supervised += (uint64_t)made->supervised;
    if (made->n > s->longest) s->longest = made->n;
    memset(made, 0, sizeof *made);
    return GT_OK;
}

static gt_status take_row(load *l, const gt_json *row, uint64_t number)
{
    gt_sample made;
    GT_TRY(gt_row_sample(&made, row, l->o, l->tok, &l->notes));
    made.row = number;
    l->samples.rows_truncated += made.truncated;
    gt_status st = GT_OK;
    if (made.supervised == 0 && !l->o->keep_unsupervised)
        l->samples.rows_unsupervised++;
    else
        st = keep_sample(&l->samples, &made);
    gt_sample_free(&made);
    return st;
}

/* The next row of a file; *end when there is none. Its failure says file and line. */
static gt_status next_row(load *l, gt_rows *rows, const char *path, bool *end)
{
    gt_json_doc *row = NULL;
    gt_status st = gt_rows_next(rows, &row);
    *end = st == GT_OK && !row;
    if (*end) return GT_OK;
    const uint64_t number = l->samples.rows_read++;
    if (st != GT_OK) return st;
    st = take_row(l, gt_json_root(row), number);
    gt_json_free(row);
    return st == GT_OK ? GT_OK : gt_error_prefix("%s:%llu", path, (unsigned long long)gt_rows_line(rows));
}

static gt_status load_file(load *l, const char *path)
{
    gt_rows *rows;
    gt_status st = GT_OK;
    GT_TRY(gt_rows_open(&rows, path));
    for (bool end = false; st == GT_OK && !end;) {
        st = next_row(l, rows, path, &end);
        if (st != GT_ERR_DATA || !l->o->skip_bad_rows) continue;
        if (l->samples.rows_refused++ < SHOWN_BAD_ROWS)
            gt_log(GT_INFO, "data", "skipped: %s", gt_error_last()->message);
        st = GT_OK;
    }
    gt_rows_close(rows);
    return st;
}

/* Row numbers are part of it: they key dropout. */
static void identify(gt_samples *s)
{
    gt_sha256 h;
    gt_sha256_init(&h);
    for (size_t i = 0; i < s->count; i++) {
        const gt_sample *a = &s->sample[i];
        gt_sha256_add_u64(&h, a->row);
        gt_sha256_add_u64(&h, (uint64_t)a->n);
        gt_sha256_add(&h, a->ids, (size_t)a->n * sizeof *a->ids);
        gt_sha256_add(&h, a->label, (size_t)a->n);
    }
    gt_sha256_end(&h, s->sha256);
}

static gt_status check_result(const load *l)
{
    const gt_samples *s = &l->samples;
    const char *first = l->o->path[0];
    if (l->notes.bos_stripped)
        gt_log(GT_INFO, "data", "%zu texts began with <bos> themselves; it was not put twice", l->notes.bos_stripped);
    if (l->notes.joint_tokens)
        gt_log(GT_INFO, "data", "%zu prompts end inside a token of the completion; end them with a space or a newline",
               l->notes.joint_tokens);
    if (l->notes.explained)
        gt_log(GT_INFO, "data", "%zu multiple-choice rows have an explanation ('cot'): the answer is learnt, it is not",
               l->notes.explained);
    if (s->rows_read == 0)
        return GT_FAIL(GT_ERR_DATA, "%s%s: no row at all", first, l->o->paths > 1 ? " and the others" : "");
    if (s->count == 0 && s->rows_refused == s->rows_read)
        return GT_FAIL(GT_ERR_DATA, "%s: every one of the %zu rows is bad; the last: %s", first, s->rows_read,
                       gt_error_last()->message);
    if (s->supervised == 0 && !l->o->keep_unsupervised)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: none of the %zu rows has a supervised token (%zu cut to max_length %d, %zu bad); raise "
                       "max_length, or give rows with answers",
                       first, s->rows_read, s->rows_truncated, l->o->max_length, s->rows_refused);
    return GT_OK;
}

gt_status gt_samples_load(gt_samples *out, const gt_load_options *o, const gt_tokenizer *tok)
{
    load l = {.o = o, .tok = tok};
    if (o->paths < 1) return GT_FAIL(GT_ERR_ARG, "no file of rows is given");
    gt_status st = GT_OK;
    for (int i = 0; i < o->paths && st == GT_OK; i++) st = load_file(&l, o->path[i]);
    if (st == GT_OK) st = check_result(&l);
    if (st != GT_OK) {
        gt_samples_free(&l.samples);
        return st;
    }
    identify(&l.samples);
    *out = l.samples;
    return GT_OK;
}
