/* ckpt_arrays.h - arrays out of a file of an opened checkpoint: its digest is verified again, since it may have changed
 * since, and a child process with limits lets HDF5 at it. */
#ifndef GT_CKPT_ARRAYS_H
#define GT_CKPT_ARRAYS_H

#include "ckpt_h5.h"
#include "ckpt_open.h"

/* Reads arrays of the manifest's file number `file` into *out, `bytes` of new memory; each array's offset says where.
 * GT_ERR_DATA: changed, damaged, not as asked for, or slower than 20 MB/s. Free with gt_ckpt_arrays_free. */
gt_status gt_ckpt_arrays_read(void **out, size_t bytes, const gt_ckpt *k, int file, const gt_h5_array *array,
                              size_t count);
void gt_ckpt_arrays_free(void *memory, size_t bytes); /* NULL is fine */

#endif
