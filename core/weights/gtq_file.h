/* gtq_file.h - a mapped .gtq with its directory read: what opening and verifying share. For gtq_*.c only. */
#ifndef GT_GTQ_FILE_H
#define GT_GTQ_FILE_H

#include "fs.h"
#include "gtq_meta.h"

typedef struct {
    gt_map map;
    gt_gtq_meta meta;
} gt_gtq_file;

/* Maps path and checks header and directory. GT_ERR_IO, GT_ERR_DATA. Release with gt_gtq_file_close. */
gt_status gt_gtq_file_open(gt_gtq_file **out, const char *path);
void gt_gtq_file_close(void *file); /* a gt_gtq_file; NULL is fine */

/* The view of a tensor in the map. */
void gt_gtq_matrix(gt_matrix *out, const gt_gtq_file *f, const gt_gtq_tensor *t);

#endif
