#include "ids.h"

#include "checked.h"

#include <stdlib.h>

void gt_ids_free(gt_ids *ids)
{
    if (!ids) return;
    free(ids->id);
    free(ids->begin);
    *ids = (gt_ids){0};
}

static gt_status grow_ids(gt_ids *ids)
{
    size_t more, bytes;
    if (!gt_mul_size(ids->capacity ? ids->capacity : 32, 2, &more) || !gt_mul_size(more, sizeof(size_t), &bytes))
        return GT_FAIL(GT_ERR_NOMEM, "no memory for more than %zu token ids", ids->capacity);
    int32_t *id = realloc(ids->id, more * sizeof *id);
    if (!id) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu token ids", more);
    ids->id = id;
    if (ids->keep_begin) {
        size_t *begin = realloc(ids->begin, bytes);
        if (!begin) return GT_FAIL(GT_ERR_NOMEM, "no memory for the places of %zu tokens", more);
        ids->begin = begin;
    }
    ids->capacity = more;
    return GT_OK;
}

gt_status gt_ids_push(gt_ids *ids, int32_t id, size_t begin)
{
    if (ids->count == ids->capacity) GT_TRY(grow_ids(ids));
    if (ids->keep_begin) ids->begin[ids->count] = begin;
    ids->id[ids->count++] = id;
    return GT_OK;
}
