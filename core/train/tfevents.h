/* tfevents.h - TensorBoard event files: scalars by tag and step, in TensorFlow's record framing.
 *
 *   record = length u64 | masked CRC-32C of length u32 | data | masked CRC-32C of data u32        (little-endian)
 *   data   = tensorflow.Event (protobuf): wall_time 1 double, step 2 int64, file_version 3 | summary 5 | session_log 7
 *   mask(c) = rotate_right(c, 15) + 0xa282ead8
 *
 * tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, .../framework/summary.proto. */
#ifndef GT_TFEVENTS_H
#define GT_TFEVENTS_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct gt_tfevents gt_tfevents;

/* CRC-32C (Castagnoli, reflected 0x82f63b78), as in iSCSI. */
uint32_t gt_crc32c(const void *data, size_t size);

/* Makes folder (and parents) and a new event file in it, named by time, host and pid. first_step: events of earlier
 * files at this step and after it are void (a resume went back behind them); TensorBoard hides them. */
gt_status gt_tfevents_open(gt_tfevents **out, const char *folder, int64_t first_step);

/* One scalar; buffered until flush. A value that is not finite is written as it is. GT_ERR_IO. */
gt_status gt_tfevents_scalar(gt_tfevents *t, const char *tag, int64_t step, double value);

/* Hands everything to the system. */
gt_status gt_tfevents_flush(gt_tfevents *t);

void gt_tfevents_close(gt_tfevents *t); /* flushes; NULL is fine */

#endif
