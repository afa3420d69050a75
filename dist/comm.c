#include "comm.h"

#include "comm_fillings.h"

#include <stdbool.h>
#include <stdlib.h>

/* A launcher tells its processes who they are through the environment: Open MPI's mpirun, anything that speaks PMIx
 * (srun --mpi=pmix), and the older PMI of MPICH's relatives. Without one, MPI_Init costs a tenth of a second and gives
 * a world of one, which comm_self gives for nothing. */
static bool launched(void)
{
    static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (getenv(variables[i])) return true;
    return false;
}

/* Tasks that srun started without a process manager that MPI understands all take themselves for the only rank, train
 * the same thing and overwrite each other's files. */
static gt_status refuse_lonely_tasks(int world)
{
    const char *text = getenv("SLURM_NTASKS");
    long tasks = text ? strtol(text, NULL, 10) : 0;
    if (tasks <= 1 || world != 1) return GT_OK;
    return GT_FAIL(GT_ERR_CONFIG,
                   "SLURM_NTASKS is %ld but the MPI world holds one rank: every task would train on its own; start it "
                   "with `srun --mpi=pmix` or `mpirun`, or ask for one task",
                   tasks);
}

gt_status gt_comm_create(gt_comm **out, double timeout_seconds)
{
    if (!(timeout_seconds > 0)) return GT_FAIL(GT_ERR_ARG, "timeout %g s; expected > 0", timeout_seconds);
    gt_comm *c = NULL;
    if (launched()) {
        GT_TRY(gt_comm_mpi_create(&c, timeout_seconds));
    } else {
        GT_TRY(refuse_lonely_tasks(1)); /* before anything starts */
        GT_TRY(gt_comm_create_self(&c));
        c->timeout_seconds = timeout_seconds;
    }
    gt_status st = refuse_lonely_tasks(c->size);
    if (st != GT_OK) {
        gt_comm_destroy(c);
        return st;
    }
    *out = c;
    return GT_OK;
}

gt_status gt_comm_failed_elsewhere(const gt_comm *c, gt_status code)
{
    GT_FAIL(code, "rank %d stopped: another rank failed", c->rank);
    gt_error e = *gt_error_last();
    e.elsewhere = true;
    return gt_error_restore(&e, code);
}

gt_status gt_comm_agree_and(gt_comm *c, gt_status mine, bool *any)
{
    if (!c) return mine;
    const gt_error own = *gt_error_last();
    int32_t most[2] = {(int32_t)mine, any && *any};
    gt_status st = c->ops->max_i32(c, most, any ? 2 : 1);
    if (st != GT_OK) return st >= mine ? st : gt_error_restore(&own, mine);
    const gt_status gravest = (gt_status)most[0];
    if (any) *any = most[1] != 0;
    if (gravest == GT_OK) return GT_OK;
    return mine == GT_OK ? gt_comm_failed_elsewhere(c, gravest) : gt_error_restore(&own, gravest);
}

gt_status gt_comm_sum_i64(gt_comm *c, int64_t *buffer, size_t n)
{
    return c->ops->sum_i64(c, buffer, n);
}
gt_status gt_comm_max_i32(gt_comm *c, int32_t *buffer, size_t n)
{
    return c->ops->max_i32(c, buffer, n);
}
gt_status gt_comm_broadcast(gt_comm *c, void *b, size_t bytes, int root)
{
    return c->ops->broadcast(c, b, bytes, root);
}
gt_status gt_comm_gather(gt_comm *c, const void *m, size_t n, void *all)
{
    return c->ops->gather(c, m, n, all);
}
gt_status gt_comm_barrier(gt_comm *c)
{
    return c->ops->barrier(c);
}
void gt_comm_abort(gt_comm *c, int exit_code)
{
    c->ops->abort(c, exit_code);
    __builtin_unreachable();
}

void gt_comm_destroy(gt_comm *c)
{
    if (c) c->ops->destroy(c);
}
