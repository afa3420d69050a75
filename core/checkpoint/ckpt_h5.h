/* ckpt_h5.h - the arrays of a checkpoint as HDF5 files: serial driver, format version 1.10, chunks of about 1 MiB each
 * with a Fletcher32 checksum, little-endian. Every return is looked at, those of closing calls too: chunks are written
 * there. A written file is closed and fsynced. Writing happens in the calling process, reading only in a guarded child.
 */
#ifndef GT_CKPT_H5_H
#define GT_CKPT_H5_H

#include "ckpt.h"

/* state.h5: /adapter/NAME, /moment1/NAME, /moment2/NAME f32 in each tensor's shape, /state the text `about` (JSON), and
 * the attributes format, version, id and step of the root. path must not exist. GT_ERR_IO names file, array and HDF5's
 * words. */
gt_status gt_h5_write_state(const char *path, const gt_train_state *s, const char *id, const char *about);

/* part-RANK.h5: /sum i64 [n], /numbers i64 (if there are any), /finished i64 [count] ascending, /part the text `about`.
 */
gt_status gt_h5_write_part(const char *path, const gt_ckpt_part *p, const char *id, const char *about);

/* An array to be read: its path inside the file, shape, type, and where it goes, contiguous. */
typedef struct {
    const char *group, *name; /* group NULL: the root */
    int dims;
    int64_t shape[GT_CKPT_DIMS];
    bool is_i64;   /* else f32 */
    size_t offset; /* bytes from the start of the memory that is read into */
} gt_h5_array;

/* Reads arrays into memory, of the file behind an open descriptor whose digest has been verified. Type and shape must
 * be exactly those asked for. GT_ERR_DATA names file (shown) and array. HDF5 is called in this process: see
 * ckpt_child.h. */
gt_status gt_h5_read(int fd, const char *shown, const gt_h5_array *array, size_t count, void *memory);

#endif
