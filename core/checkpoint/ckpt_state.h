/* ckpt_state.h - what is saved, whatever the files look like: whether a state and a part are sound, and whether they
 * are the ones that are on disk. Their identity and size are in ckpt.h. */
#ifndef GT_CKPT_STATE_H
#define GT_CKPT_STATE_H

#include "ckpt.h"

/* GT_ERR_ARG: no tensors, or a shape that is not sound. GT_ERR_DATA: a value or a moment that is not finite: such a
 * state would be a trap, not a point to go on from. */
gt_status gt_ckpt_state_check(const gt_train_state *s);

/* Whether what a manifest tells of a state is all that it would tell of s; that both have one identity is the caller's
 * to compare. */
bool gt_ckpt_state_told(const gt_train_state *told, const gt_train_state *s);

/* GT_ERR_ARG: a part that does not fit the tensors of s. p NULL is fine. */
gt_status gt_ckpt_part_check(const gt_train_state *s, const gt_ckpt_part *p);

/* How many micro-batches the part contains; 0 for NULL. */
int64_t gt_ckpt_part_finished(const gt_ckpt_part *p);

#endif
