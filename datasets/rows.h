/* rows.h - the rows of a JSON lines or CSV file, one JSON object each, in bounded memory.
 *
 * A name that ends with .csv is CSV with a header (RFC 4180); every field becomes a string member. Any other file holds
 * a JSON object a line. UTF-8 with or without byte order mark, LF or CR LF, blank lines passed over.
 *
 *   gt_rows *r;
 *   GT_TRY(gt_rows_open(&r, path));
 *   for (;;) {
 *       gt_json_doc *row;
 *       gt_status st = gt_rows_next(r, &row);     a bad row is GT_ERR_DATA, and the next call goes on behind it
 *       if (st != GT_OK || !row) break;
 *       ... gt_json_root(row) ... gt_rows_line(r) ...
 *       gt_json_free(row);
 *   }
 *   gt_rows_close(r); */
#ifndef GT_ROWS_H
#define GT_ROWS_H

#include "json.h"
#include "status.h"

#include <stdint.h>

typedef struct gt_rows gt_rows;

/* GT_ERR_IO, GT_ERR_NOMEM; GT_ERR_DATA: UTF-16, or a CSV header that is absent or names a column twice. */
gt_status gt_rows_open(gt_rows **out, const char *path);
void gt_rows_close(gt_rows *r); /* NULL is fine */

/* The next row, a JSON object that the caller frees; *row is NULL at the end. GT_ERR_DATA, its words beginning with
 * "file:line: ": a row that is no JSON object, has bad UTF-8, a NUL byte, more than 16 MiB, or another number of fields
 * than the header. GT_ERR_IO and GT_ERR_NOMEM end the reading. */
gt_status gt_rows_next(gt_rows *r, gt_json_doc **row);

/* Where the row that the latest call was about begins. */
uint64_t gt_rows_line(const gt_rows *r);

#endif
