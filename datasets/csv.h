/* csv.h - one record of comma-separated values (RFC 4180) into its fields. */
#ifndef GT_CSV_H
#define GT_CSV_H

#include "status.h"

#include <stddef.h>

typedef struct {
    char *text; /* the field's bytes, a NUL behind them; inside the record */
    size_t size;
} gt_csv_field;

/* Splits record[0..size) in place: quotes are taken off and "" becomes ". record[size] must be writable.
 * field [capacity]; *count gets the number of fields, at least 1.
 * GT_ERR_DATA, the record then spoilt: a quote inside a field without quotes, bytes behind a closing quote, an open
 * quote, more than capacity fields. */
gt_status gt_csv_split(char *record, size_t size, gt_csv_field *field, size_t capacity, size_t *count);

#endif
