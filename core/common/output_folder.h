/* output_folder.h - a folder that appears whole or not at all: filled under a temporary name beside its place, renamed
 * last. */
#ifndef GT_OUTPUT_FOLDER_H
#define GT_OUTPUT_FOLDER_H

#include "status.h"

#include <stdbool.h>

typedef struct {
    char *path, *tmp; /* owned; files are written below tmp */
    bool replace;
} gt_output_folder;

/* Whether path can become such a folder: absent, an empty folder, or, with replace, a folder of nothing but regular
 * files that models and adapters consist of (.json .safetensors .txt .md .model .jinja .gitattributes): anything else
 * is never deleted. GT_ERR_CONFIG names what is in the way. Long work checks this before it begins. */
gt_status gt_output_folder_check(const char *path, bool replace);

/* Checks, and makes "<path>.tmp.<pid>" (with the parents of path). GT_ERR_IO. */
gt_status gt_output_folder_open(gt_output_folder *out, const char *path, bool replace);

/* fsync, check again, rename into place, fsync of the parent. Files in it must be synced already (gt_new_file,
 * gt_fs_write and gt_safetensors_publish do that). On failure what was at path stays and the temporary folder is
 * removed. */
gt_status gt_output_folder_publish(gt_output_folder *f);

/* Removes the temporary folder; fine after publish and on zeroed structs. */
void gt_output_folder_abandon(gt_output_folder *f);

/* The same for one file that is about to be written: absent, or a regular file and replace is set. */
gt_status gt_output_file_check(const char *path, bool replace);

#endif
