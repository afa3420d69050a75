#include "comm.h"

gt_status gt_comm_agree(gt_comm *c, gt_status mine)
{
    int32_t worst = (int32_t)mine;
    gt_status st = c->ops->max_i32(c, &worst, 1);
    if (st != GT_OK) return mine > st ? mine : st;
    if (mine < (gt_status)worst)
        return GT_FAIL((gt_status)worst, "rank %d stopped: another rank failed", c->rank);
    return (gt_status)worst;
}

gt_status gt_comm_sum_i64(gt_comm *c, int64_t *buffer, size_t n) { return c->ops->sum_i64(c, buffer, n); }
gt_status gt_comm_max_i32(gt_comm *c, int32_t *buffer, size_t n) { return c->ops->max_i32(c, buffer, n); }
gt_status gt_comm_broadcast(gt_comm *c, void *b, size_t bytes, int root) { return c->ops->broadcast(c, b, bytes, root); }
gt_status gt_comm_gather(gt_comm *c, const void *m, size_t n, void *all) { return c->ops->gather(c, m, n, all); }
gt_status gt_comm_barrier(gt_comm *c) { return c->ops->barrier(c); }

void gt_comm_destroy(gt_comm *c)
{
    if (c) c->ops->destroy(c);
}
