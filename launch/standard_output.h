/* standard_output.h - answers on standard output: what could not be written is a failure like any other. */
#ifndef GT_STANDARD_OUTPUT_H
#define GT_STANDARD_OUTPUT_H

#include "status.h"

#include <stddef.h>

/* Writes bytes and lets who reads them see them now. GT_ERR_IO. */
gt_status gt_standard_output_write(const char *bytes, size_t size);

/* What was printed so far has arrived. GT_ERR_IO: it has not, or something earlier did not. */
gt_status gt_standard_output_flush(void);

#endif
