/* ckpt_draft.h - a checkpoint or window folder in the making: it has a name with ".tmp-", its files are fsynced, the
 * manifest comes last; the rename is the moment it exists. Nothing here is collective: ranks that save together each
 * have a draft of the same path and put their lines together before one of them seals it. */
#ifndef GT_CKPT_DRAFT_H
#define GT_CKPT_DRAFT_H

#include "ckpt.h"
#include "text.h"

/* Zero it to begin; free it in the end, published or not. */
typedef struct {
    char path[4096];      /* "" before it is made */
    gt_text parts, files; /* the manifest's lines of what was added */
} gt_ckpt_draft;

/* Makes "<out_dir>/<name>.tmp-<pid>", anew where it is there. GT_ERR_IO. */
gt_status gt_ckpt_draft_make(gt_ckpt_draft *d, const char *out_dir, const char *name);

/* Write a file into the folder and its line into the lists. sha256: the part's digest comes back. GT_ERR_IO. */
gt_status gt_ckpt_draft_add_state(gt_ckpt_draft *d, const gt_train_state *s, const char *id);
gt_status gt_ckpt_draft_add_part(gt_ckpt_draft *d, char sha256[65], int rank, const gt_ckpt_part *p, const char *id);

/* Writes the manifest over all lines. GT_ERR_IO; GT_ERR_ARG as gt_manifest_compose. */
gt_status gt_ckpt_draft_seal(const gt_ckpt_draft *d, const gt_train_state *s, const char *id);

/* The folder becomes out_dir/name, in place of one that is there. GT_ERR_IO. */
gt_status gt_ckpt_draft_publish(const gt_ckpt_draft *d, const char *out_dir, const char *name);

/* Removes what a failed save left; returns st with the words that the record had. */
gt_status gt_ckpt_draft_drop(const gt_ckpt_draft *d, gt_status st);

void gt_ckpt_draft_free(gt_ckpt_draft *d); /* the lines; the folder stays */

#endif
