/* record_reader.h - a file of rows taken apart into records, in memory that the longest allowed row bounds, whatever
 * the file holds: a row of a gigabyte is passed over, not loaded. */
#ifndef GT_RECORD_READER_H
#define GT_RECORD_READER_H

#include "status.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GT_RECORD_LIMIT = 16 << 20 }; /* bytes of the longest row */

typedef struct {
    int fd;
    char *path;   /* owned */
    bool quotes;  /* CSV: a line end inside a quoted field does not end the record */
    char *buffer; /* owned, what was read and not yet taken */
    size_t begin, end;
    gt_text record;
    uint64_t line; /* of the last record's begin, from 1 */
    uint64_t next_line;
    bool at_end;
} gt_record_reader;

/* Opens a regular file and passes over a UTF-8 byte order mark. GT_ERR_IO; GT_ERR_DATA: the file is UTF-16. */
gt_status gt_record_reader_open(gt_record_reader *out, const char *path, bool quotes);
void gt_record_reader_close(gt_record_reader *r); /* NULL and zeroed structs are fine */

/* The next record without its line end (LF or CR LF; the last may have none), in r->record, from line r->line on.
 * *more false: the file has ended and there is no record. Blank lines are passed over.
 * GT_ERR_DATA: a record above GT_RECORD_LIMIT or with a NUL byte; the reader stands behind it and may go on.
 * GT_ERR_IO, GT_ERR_NOMEM. */
gt_status gt_record_reader_next(gt_record_reader *r, bool *more);

#endif
