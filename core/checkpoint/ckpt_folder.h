/* ckpt_folder.h - the folders of a run's checkpoints: their names, order and removal. Shared by the files that save,
 * open and load; nobody else's business. */
#ifndef GT_CKPT_FOLDER_H
#define GT_CKPT_FOLDER_H

#include "ckpt.h"

/* checkpoint-STEP[.MICRO] or window-STEP.RANK.DIGEST. Numbers are decimal without leading zeros. */
typedef struct {
    char name[256];
    bool is_window;
    int64_t step;
    int64_t micro; /* -1: a step boundary, or a window */
} gt_ckpt_entry;

/* The run's folders, newest first: by step, then by MICRO, then by name. *out malloc'ed, caller frees. GT_ERR_IO. */
gt_status gt_ckpt_list(gt_ckpt_entry **out, size_t *count, const char *out_dir);

/* Removes a folder so that no half of it is ever taken for a checkpoint: renames it away first. */
gt_status gt_ckpt_remove(const char *out_dir, const char *name);

/* Removes what the policy does not keep after a checkpoint of `step` was published; mid_window: with all ranks' parts.
 */
gt_status gt_ckpt_prune(const gt_ckpt_policy *p, int64_t step, bool mid_window);

#endif
