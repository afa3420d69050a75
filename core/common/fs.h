/* fs.h - files: mapped reading, and writing that is whole or not there at all. */
#ifndef GT_FS_H
#define GT_FS_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole file mapped read-only and shared. data is NULL for an empty file. */
typedef struct {
    const uint8_t *data;
    size_t size;
    char *path; /* owned */
} gt_map;

/* GT_ERR_IO names path and reason; a folder, a fifo or a device is refused (only regular files). */
gt_status gt_map_open(gt_map *out, const char *path);
void gt_map_close(gt_map *m); /* NULL and zeroed structs are fine */

/* Reads a small file whole (NUL-terminated after size bytes; caller frees *out). More than `limit` bytes: GT_ERR_DATA.
 */
gt_status gt_fs_read(char **out, size_t *size, const char *path, size_t limit);

/* A file being written under a temporary name in the same folder ("<path>.tmp.<pid>"). */
typedef struct {
    int fd;
    char *path, *tmp; /* owned */
} gt_new_file;

/* An older temporary file of that name is written over. GT_ERR_IO. */
gt_status gt_new_file_open(gt_new_file *out, const char *path);
/* Appends; short writes are continued. */
gt_status gt_new_file_write(gt_new_file *f, const void *data, size_t size);
/* fsync, close, rename over path, fsync of the folder. On failure the temporary file is removed and path untouched. */
gt_status gt_new_file_publish(gt_new_file *f);
void gt_new_file_abandon(gt_new_file *f); /* closes and removes; fine after publish and on zeroed structs */

/* One call for small files. */
gt_status gt_fs_write(const char *path, const void *data, size_t size);

/* rename(tmp, path) for a finished folder or file, then fsync of the parent. Files inside must be fsynced already. */
gt_status gt_fs_publish(const char *tmp, const char *path);
gt_status gt_fs_sync(const char *path);        /* fsync of a file or folder */
gt_status gt_fs_make_dirs(const char *path);   /* mkdir -p */
gt_status gt_fs_make_parent(const char *path); /* the folder that path lies in, with its own parents */
gt_status gt_fs_sync_parent(const char *path);
gt_status gt_fs_remove_tree(const char *path); /* never follows links; a missing path is fine */
bool gt_fs_exists(const char *path);
bool gt_fs_is_dir(const char *path);
bool gt_fs_holds(const char *folder, const char *name); /* whether folder/name exists */

/* Removes from folder what writers that were killed left: entries "<name>.tmp.<pid>" and "<name>.tmp-<pid>", with
 * ours(name). ALL: only for who holds a lock under which alone these are made. UNLOCKED: only regular files that nobody
 * holds a flock on. Goes on after a failure and returns the first. GT_ERR_IO. */
typedef enum { GT_SWEEP_ALL, GT_SWEEP_UNLOCKED } gt_sweep;
gt_status gt_fs_sweep(const char *folder, bool (*ours)(const char *name), gt_sweep which);

/* "a/b" from "a", "b"; malloc'ed, NULL when out of memory. */
char *gt_fs_join(const char *folder, const char *name);

/* Whether name is one safe path component: [A-Za-z0-9._-]+, neither "." nor "..", at most 255 bytes. */
bool gt_fs_safe_name(const char *name);

#endif
