/* ckpt_folder.h - the folders of a run's checkpoints: their names, order, reading and removal. Shared by the files that
 * save, open and load; nobody else's business. */
#ifndef GT_CKPT_FOLDER_H
#define GT_CKPT_FOLDER_H

#include "ckpt_manifest.h"

struct gt_ckpt {
    char *path; /* owned, without a trailing slash */
    char *text; /* the manifest's, owned */
    size_t text_size;
    gt_manifest m;
    bool *part_good; /* [m.part_count] its digest was verified when the checkpoint was opened */
    int64_t finished;
};

/* checkpoint-STEP[.MICRO] or window-STEP.RANK.DIGEST. Numbers are decimal without leading zeros. */
typedef struct {
    char name[256];
    bool is_window;
    int64_t step;
    int64_t micro; /* -1: a step boundary, or a window */
} gt_ckpt_entry;

/* The run's folders, newest first: by step, then by MICRO, then by name. *out malloc'ed, caller frees. GT_ERR_IO. */
gt_status gt_ckpt_list(gt_ckpt_entry **out, size_t *count, const char *out_dir);

/* Reads the manifest alone; the files are not looked at. */
gt_status gt_ckpt_open_unverified(gt_ckpt **out, const char *path);

/* Opens a file of the folder if its size and digest are the manifest's; a link is refused. *fd is the caller's to
 * close. */
gt_status gt_ckpt_verify(int *fd, const char *folder, const gt_manifest_file *f);

/* Removes a folder so that no half of it is ever taken for a checkpoint: renames it away first. */
gt_status gt_ckpt_remove(const char *out_dir, const char *name);

/* Removes what the policy does not keep after a checkpoint of `step` was published; mid_window: with all ranks' parts.
 */
gt_status gt_ckpt_prune(const gt_ckpt_policy *p, int64_t step, bool mid_window);

#endif
