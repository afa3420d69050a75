/* ckpt_open.h - an opened checkpoint from the inside, and how far its files are to be believed: a manifest that was
 * read, a file whose digest was verified. For the files that save and load. */
#ifndef GT_CKPT_OPEN_H
#define GT_CKPT_OPEN_H

#include "ckpt_manifest.h"

struct gt_ckpt {
    char *path; /* owned, without a trailing slash */
    char *text; /* the manifest's, owned */
    size_t text_size;
    gt_manifest m;
    bool *part_good; /* [m.part_count] its digest was verified when the checkpoint was opened */
    int64_t finished;
};

/* Reads the manifest alone; the files are not looked at. */
gt_status gt_ckpt_open_unverified(gt_ckpt **out, const char *path);

/* Opens a file of the folder if its size and digest are the manifest's; a link is refused. *fd is the caller's to
 * close. */
gt_status gt_ckpt_verify(int *fd, const char *folder, const gt_manifest_file *f);

/* Whether out_dir/name is a checkpoint of the state with that identity: as its manifest and the size of its state file
 * say (seems), or its state file's digest too, and with all else that is known of s in the manifest (is). */
bool gt_ckpt_seems_there(const char *out_dir, const char *name, const char *id);
bool gt_ckpt_is_there(const char *out_dir, const char *name, const char *id, const gt_train_state *s);

#endif
