/* shard.h - who owns what: arithmetic only, no MPI. The same arguments give the same answer on every rank. */
#ifndef GT_SHARD_H
#define GT_SHARD_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

/* Hands out numbered micro-batches evenly by cost: longest first, each to the rank with the least so far (Graham 1969;
 * the busiest rank has at most 4/3 - 1/(3 size) of the best possible). Ties: the lower number first, the lower rank
 * first.
 * cost [count]: tokens of each micro-batch, >= 0.
 * skip [count]: 1: done already, given to nobody. NULL: none.
 * owner [count]: out: a rank, or -1 where skipped.
 * GT_ERR_ARG: a negative cost, or size < 1. GT_ERR_NOMEM. */
gt_status gt_shard_assign(int32_t *owner, const int64_t *cost, const uint8_t *skip, size_t count, int size);

#endif
