/* ids.h - a list of token ids that grows, with the places in the text that they stand for. */
#ifndef GT_IDS_H
#define GT_IDS_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed to begin with. */
typedef struct {
    int32_t *id;   /* [count] owned */
    size_t *begin; /* [count] owned, only if keep_begin: byte of the text where the token begins; it ends where the next
                   begins. Bytes of the text, not of the normalised text; tokens put around the text have no width. */
    size_t count, capacity;
    bool keep_begin;   /* set by the caller before the first use */
    bool bos_stripped; /* set by GT_ENCODE_ONE_BOS when it dropped a second <bos> */
} gt_ids;

void gt_ids_free(gt_ids *ids); /* NULL and zeroed structs are fine */

/* Appends an id; begin is kept if keep_begin. GT_ERR_NOMEM, ids then as before. */
gt_status gt_ids_push(gt_ids *ids, int32_t id, size_t begin);

#endif
