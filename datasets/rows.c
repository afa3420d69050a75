#include "rows.h"

#include "csv.h"
#include "record_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COLUMNS = 256 };

struct gt_rows {
    gt_record_reader reader;
    bool csv;
    size_t columns;
    char *header; /* owned: the bytes of the names */
    gt_csv_field name[COLUMNS], field[COLUMNS];
    gt_text json; /* a CSV record as JSON text */
};

static gt_status check_utf8(const gt_text *record)
{
    size_t bad;
    if (!gt_utf8_valid(record->data, record->size, &bad))
        return GT_FAIL(GT_ERR_DATA, "invalid UTF-8 at byte %zu of the row", bad);
    return GT_OK;
}

static gt_status split_header(gt_rows *r, const gt_text *record)
{
    GT_TRY(check_utf8(record));
    r->header = malloc(record->size + 1);
    if (!r->header) return GT_FAIL(GT_ERR_NOMEM, "no memory for the header");
    memcpy(r->header, record->data, record->size + 1);
    GT_TRY(gt_csv_split(r->header, record->size, r->name, COLUMNS, &r->columns));
    for (size_t i = 0; i < r->columns; i++)
        for (size_t j = 0; j < i; j++)
            if (r->name[i].size == r->name[j].size && memcmp(r->name[i].text, r->name[j].text, r->name[i].size) == 0)
                return GT_FAIL(GT_ERR_DATA, "the column '%.100s' appears twice", r->name[i].text);
    return GT_OK;
}

static gt_status read_header(gt_rows *r)
{
    bool more;
    GT_TRY(gt_record_reader_next(&r->reader, &more));
    if (!more)
        return GT_FAIL(GT_ERR_DATA, "%s: is empty; a CSV file begins with the names of its columns", r->reader.path);
    if (split_header(r, &r->reader.record) != GT_OK)
        return gt_error_prefix("%s:%llu", r->reader.path, (unsigned long long)r->reader.line);
    return GT_OK;
}

gt_status gt_rows_open(gt_rows **out, const char *path)
{
    const size_t n = strlen(path);
    gt_rows *r = calloc(1, sizeof *r);
    if (!r) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory to read it", path);
    r->csv = n >= 4 && strcasecmp(path + n - 4, ".csv") == 0;
    gt_status st = gt_record_reader_open(&r->reader, path, r->csv);
    if (st == GT_OK && r->csv) st = read_header(r);
    if (st != GT_OK) {
        gt_rows_close(r);
        return st;
    }
    *out = r;
    return GT_OK;
}

void gt_rows_close(gt_rows *r)
{
    if (!r) return;
    gt_record_reader_close(&r->reader);
    gt_text_free(&r->json);
    free(r->header);
    free(r);
}

uint64_t gt_rows_line(const gt_rows *r)
{
    return r->reader.line;
}

static gt_status csv_as_json(gt_rows *r)
{
    gt_text *record = &r->reader.record, *json = &r->json;
    size_t count;
    GT_TRY(check_utf8(record));
    GT_TRY(gt_csv_split(record->data, record->size, r->field, COLUMNS, &count));
    if (count != r->columns)
        return GT_FAIL(GT_ERR_DATA, "%zu field%s; the header names %zu columns", count, count == 1 ? "" : "s",
                       r->columns);
    gt_text_clear(json);
    for (size_t i = 0; i < count; i++) {
        gt_text_add(json, i ? "," : "{", 1);
        gt_text_add_json_string(json, r->name[i].text, r->name[i].size);
        gt_text_add(json, ":", 1);
        gt_text_add_json_string(json, r->field[i].text, r->field[i].size);
    }
    gt_text_add(json, "}", 1);
    return json->failed ? GT_FAIL(GT_ERR_NOMEM, "no memory for a row of %zu bytes", record->size) : GT_OK;
}

static gt_status parse_row(gt_rows *r, gt_json_doc **row)
{
    char where[1024];
    snprintf(where, sizeof where, "%s:%llu", r->reader.path, (unsigned long long)r->reader.line);
    const gt_text *text = &r->reader.record;
    if (r->csv) {
        gt_status st = csv_as_json(r);
        if (st != GT_OK) return gt_error_prefix("%s", where);
        text = &r->json;
    }
    gt_json_doc *d;
    GT_TRY(gt_json_parse(&d, text->data, text->size, where));
    if (gt_json_root(d)->type != GT_JSON_OBJECT) {
        const bool array = gt_json_root(d)->type == GT_JSON_ARRAY;
        gt_json_free(d);
        return GT_FAIL(GT_ERR_DATA, "%s: a row is a JSON object on one line%s", where,
                       array ? ", not an array; convert a file that is one array by: jq -c '.[]'" : "");
    }
    *row = d;
    return GT_OK;
}

gt_status gt_rows_next(gt_rows *r, gt_json_doc **row)
{
    bool more;
    GT_TRY(gt_record_reader_next(&r->reader, &more));
    if (more) return parse_row(r, row);
    *row = NULL;
    return GT_OK;
}
