/* comm.h - ranks and what they do together: one table of collectives with two fillings, this process alone and MPI
 * (NCCL will be a third). Waiting never ignores a stop signal or a deadline: a dead or stopped peer is not a hang. */
#ifndef GT_COMM_H
#define GT_COMM_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gt_comm gt_comm;

typedef struct {
    const char *name; /* "self", "mpi" */
    gt_status (*sum_i64)(gt_comm *c, int64_t *buffer, size_t n);
    gt_status (*max_i32)(gt_comm *c, int32_t *buffer, size_t n);
    gt_status (*broadcast)(gt_comm *c, void *buffer, size_t bytes, int root);
    gt_status (*gather)(gt_comm *c, const void *mine, size_t bytes, void *all); /* all [size][bytes], on every rank */
    gt_status (*barrier)(gt_comm *c);
    void (*abort)(gt_comm *c, int exit_code); /* ends every rank; does not return */
    void (*destroy)(gt_comm *c);
} gt_comm_ops;

struct gt_comm {
    const gt_comm_ops *ops;
    int rank, size;
    int node_rank, node_size; /* among the ranks of this machine */
    int nodes;
    double timeout_seconds; /* a collective that takes longer fails with GT_ERR_LOST naming it and who is missing; the
                             * caller sets it anew for each section (setup, step, save): the slowest rank's honest work
                             * must fit */
    void *data;             /* the filling's own */
};

/* Starts the ranks: MPI when a launcher started us (its variables are in the environment), else this process alone.
 * Refuses, with GT_ERR_CONFIG and the remedy `srun --mpi=pmix`, several SLURM tasks that each see a world of one.
 * Collective. Release with gt_comm_destroy (NULL is fine; collective unless a rank already failed). */
gt_status gt_comm_create(gt_comm **out, double timeout_seconds);
void gt_comm_destroy(gt_comm *c);

/* Ends every rank at once with that exit code and does not return; never waits for a rank or a launcher that is gone
 * (5 s at most). The only way out that reaches the others after a collective failed. Not collective. */
void gt_comm_abort(gt_comm *c, int exit_code) __attribute__((noreturn));

/* One process, whatever the environment says: tools and tests. */
gt_status gt_comm_create_self(gt_comm **out);

/* Collective. Every rank returns the gravest (highest) status any rank brought; one that failed keeps its own words,
 * the others fail by gt_comm_failed_elsewhere. When the collective itself fails, the graver of its status and mine. c
 * NULL: this process alone, so mine.
 * any: a question to all in the same message, asked by all ranks or by none (NULL). *any becomes whether any rank
 * brought true; it stays as it was when the collective fails. */
gt_status gt_comm_agree_and(gt_comm *c, gt_status mine, bool *any);

/* The same without a question. Whoever brings a failure gets a failure. */
static inline gt_status gt_comm_agree(gt_comm *c, gt_status mine)
{
    const gt_status gravest = gt_comm_agree_and(c, mine, NULL);
    return gravest == GT_OK ? mine : gravest;
}

/* Not collective. This rank stops only because another one failed: fills the record, marked as `elsewhere` so that the
 * true reason is not buried under one such line a rank, and returns code. */
gt_status gt_comm_failed_elsewhere(const gt_comm *c, gt_status code);

/* Collectives: every rank calls them in the same order with the same sizes. While they wait they poll
 * gt_signals_stop_asked (GT_ERR_INTERRUPTED; afterwards only gt_comm_abort or leaving is possible) and the deadline
 * (GT_ERR_LOST; GT_ERR_INTERNAL when another rank came to a different collective). After a failure the communicator is
 * broken for good: every later collective fails at once, and gt_comm_destroy returns without waiting for anybody. Only
 * the thread that created it may use it. Buffers are the caller's and hold garbage after a failure. */
gt_status gt_comm_sum_i64(gt_comm *c, int64_t *buffer, size_t n); /* exact, so independent of order and size */
gt_status gt_comm_max_i32(gt_comm *c, int32_t *buffer, size_t n);
gt_status gt_comm_broadcast(gt_comm *c, void *buffer, size_t bytes, int root);   /* root's, to all */
gt_status gt_comm_gather(gt_comm *c, const void *mine, size_t bytes, void *all); /* all [size][bytes], on every rank */
/* The meeting alone. Work that can fail ends in gt_comm_agree instead, so that nobody goes on past another's
 * failure. */
gt_status gt_comm_barrier(gt_comm *c);

#endif
