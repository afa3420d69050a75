#include "csv.h"

/* One field from `at` on; returns where the next begins, or size + 1 behind the last. */
static gt_status split_field(char *record, size_t size, size_t at, gt_csv_field *f, size_t *next)
{
    size_t to = at;
    f->text = record + at;
    if (at < size && record[at] == '"') {
        for (at++;; at++) {
            if (at >= size) return GT_FAIL(GT_ERR_DATA, "a quoted field that does not end");
            if (record[at] == '"') {
                if (at + 1 < size && record[at + 1] == '"')
                    at++;
                else
                    break;
            }
            record[to++] = record[at];
        }
        at++;
        if (at < size && record[at] != ',')
            return GT_FAIL(GT_ERR_DATA, "bytes behind the closing quote of a field; a quote inside is written twice");
    } else {
        for (; at < size && record[at] != ','; at++)
            if (record[at] == '"') return GT_FAIL(GT_ERR_DATA, "a quote inside a field that does not begin with one");
        to = at;
    }
    f->size = (size_t)(record + to - f->text);
    *next = at + 1;
    record[to] = '\0'; /* the comma's or the closing quote's place */
    return GT_OK;
}

gt_status gt_csv_split(char *record, size_t size, gt_csv_field *field, size_t capacity, size_t *count)
{
    size_t n = 0, at = 0;
    while (at <= size) { /* a record that ends with a comma ends with an empty field */
        if (n == capacity) return GT_FAIL(GT_ERR_DATA, "more than %zu fields", capacity);
        GT_TRY(split_field(record, size, at, &field[n], &at));
        n++;
    }
    *count = n;
    return GT_OK;
}
