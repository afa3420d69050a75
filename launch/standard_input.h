/* standard_input.h - standard input, whose waiting a signal ends. */
#ifndef GT_STANDARD_INPUT_H
#define GT_STANDARD_INPUT_H

#include "status.h"

#include <stddef.h>

/* Waits for bytes and takes up to capacity of them; *got is 0 at the end. GT_ERR_INTERRUPTED once a stop was asked. */
gt_status gt_standard_input_read(char *buffer, size_t capacity, size_t *got);

#endif
