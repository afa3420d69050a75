/* comm_mpi.c - the collectives over MPI, each in two acts.
 *
 * Arrival: every rank tells every other one which collective it has come to (24 bytes, eager). Waiting for these may
 * last as long as the slowest rank computes, so it sleeps between looks, watches the stop signal and the deadline, and
 * on the deadline knows who has not come. A rank that came to a different collective is an error, not a hang. Data: all
 * ranks are there, so the non-blocking collective runs at the speed of memory or network and the wait only yields. The
 * deadline holds here too.
 *
 * A wait that ended early leaves requests under way: the communicator is then broken for good, every later collective
 * fails at once, and destroy leaves MPI alone, because MPI_Finalize would wait for the others. */
#include "comm_fillings.h"

#include "clock.h"
#include "log.h"
#include "signals.h"

#include <errno.h>
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK_BYTES = 16 << 20, /* a collective's piece: MPI counts are int, and a stop signal is seen between pieces */
    ABORT_SECONDS = 5,
    TAG_ARRIVAL = 7
};

typedef enum { SUM_I64, MAX_I32, BROADCAST, GATHER, BARRIER } collective;
static const char *const collective_name[] = {"sum_i64", "max_i32", "broadcast", "gather", "barrier"};

/* What a rank tells the others when it arrives. */
typedef struct {
    uint64_t number; /* collectives so far */
    uint64_t kind;   /* collective, and the root above bit 8 */
    uint64_t bytes;
} arrival;

typedef struct {
    MPI_Comm comm;
    bool broken;
    uint64_t number;
    arrival mine;
    arrival *theirs;      /* [size] */
    MPI_Request *receive; /* [size] persistent; own slot MPI_REQUEST_NULL */
    MPI_Request *send;    /* [size] */
    bool *arrived;        /* [size] */
    int *index;           /* [size] for MPI_Testsome */
    double began;
} mpi_data;

static gt_status mpi_check(int rc, const char *call)
{
    if (rc == MPI_SUCCESS) return GT_OK;
    char words[MPI_MAX_ERROR_STRING] = "unknown error";
    int length = 0;
    MPI_Error_string(rc, words, &length);
    return GT_FAIL(GT_ERR_LOST, "%s: %.300s", call, words);
}
#define GT_MPI(call) GT_TRY(mpi_check((call), #call))

/* "rank 3", "ranks 1, 2": who has not arrived. */
static void name_missing(const gt_comm *c, char *text, size_t size)
{
    const mpi_data *m = c->data;
    size_t used = 0;
    int missing = 0, listed = 0;
    for (int r = 0; r < c->size; r++) missing += r != c->rank && !m->arrived[r];
    used += (size_t)snprintf(text, size, missing == 1 ? "rank" : "ranks");
    for (int r = 0; r < c->size && used + 32 < size; r++) {
        if (r == c->rank || m->arrived[r]) continue;
        used += (size_t)snprintf(text + used, size - used, "%s %d", listed ? "," : "", r);
        listed++;
    }
    if (listed < missing) snprintf(text + used, size - used, " and %d more", missing - listed);
}

/* One look at the outside between two looks at MPI; then a pause that grows: waits are either microseconds (all
 * ranks are there) or seconds (one still computes). naps: whether to sleep at all after the first looks. */
static gt_status pause_between_looks(gt_comm *c, int look, bool arrival_wait)
{
    mpi_data *m = c->data;
    int number = gt_signals_stop_asked();
    if (number)
        return GT_FAIL(GT_ERR_INTERRUPTED, "stopped by signal %d (%s) in collective %s", number, strsignal(number),
                       collective_name[m->mine.kind & 255]);
    double waited = gt_clock() - m->began;
    if (waited > c->timeout_seconds) {
        char who[512] = "a rank that had arrived";
        if (arrival_wait) name_missing(c, who, sizeof who);
        return GT_FAIL(
            GT_ERR_LOST,
            "collective %s (number %llu, %llu bytes): no answer from %s within %.0f s; it is dead, stopped or "
            "stuck; look at its host and run again",
            collective_name[m->mine.kind & 255], (unsigned long long)m->mine.number, (unsigned long long)m->mine.bytes,
            who, c->timeout_seconds);
    }
    /* In the data act peers hand pieces to each other, and a sleeper would hold up the line. */
    if (look < 200 || (!arrival_wait && look < 20000)) {
        sched_yield();
        return GT_OK;
    }
    long us = arrival_wait ? (look < 400 ? 50 : look < 1000 ? 200 : 1000) : 50;
    struct timespec nap = {0, us * 1000};
    nanosleep(&nap, NULL); /* a signal ends it early, which is what we want */
    return GT_OK;
}

static gt_status wait_arrivals(gt_comm *c)
{
    mpi_data *m = c->data;
    int left = c->size - 1;
    for (int look = 0;; look++) {
        int done = 0;
        GT_MPI(MPI_Testsome(c->size, m->receive, &done, m->index, MPI_STATUSES_IGNORE));
        for (int i = 0; done != MPI_UNDEFINED && i < done; i++) {
            const int r = m->index[i];
            const arrival *a = &m->theirs[r];
            m->arrived[r] = true;
            left--;
            if (memcmp(a, &m->mine, sizeof *a) != 0)
                return GT_FAIL(
                    GT_ERR_INTERNAL,
                    "rank %d came to collective %llu as %s of %llu bytes, rank %d to %llu as %s of %llu bytes", c->rank,
                    (unsigned long long)m->mine.number, collective_name[m->mine.kind & 255],
                    (unsigned long long)m->mine.bytes, r, (unsigned long long)a->number,
                    (a->kind & 255) <= BARRIER ? collective_name[a->kind & 255] : "?", (unsigned long long)a->bytes);
        }
        int sent = 0;
        if (left == 0) GT_MPI(MPI_Testall(c->size, m->send, &sent, MPI_STATUSES_IGNORE));
        if (sent) return GT_OK;
        GT_TRY(pause_between_looks(c, look, true));
    }
}

static gt_status arrive(gt_comm *c, collective kind, int root, size_t bytes)
{
    mpi_data *m = c->data;
    if (m->broken)
        return GT_FAIL(GT_ERR_LOST, "collective %s after one that failed: the ranks are no longer in step",
                       collective_name[kind]);
    if (root < 0 || root >= c->size) return GT_FAIL(GT_ERR_ARG, "broadcast from rank %d of %d", root, c->size);
    m->began = gt_clock();
    m->mine = (arrival){m->number++, (uint64_t)kind | (uint64_t)root << 8, bytes};
    memset(m->arrived, 0, (size_t)c->size * sizeof *m->arrived);
    m->broken = true; /* until the end is reached */
    if (gt_signals_stop_asked()) return pause_between_looks(c, 0, true);
    for (int r = 0; r < c->size; r++) {
        if (r == c->rank) continue;
        GT_MPI(MPI_Start(&m->receive[r]));
        GT_MPI(MPI_Start(&m->send[r]));
    }
    return wait_arrivals(c);
}

static gt_status wait_data(gt_comm *c, MPI_Request *request)
{
    for (int look = 0;; look++) {
        int done = 0;
        GT_MPI(MPI_Test(request, &done, MPI_STATUS_IGNORE));
        if (done) return GT_OK;
        GT_TRY(pause_between_looks(c, look, false));
    }
}

static gt_status leave(gt_comm *c)
{
    ((mpi_data *)c->data)->broken = false;
    return GT_OK;
}

static gt_status all_reduce(gt_comm *c, collective kind, void *buffer, size_t n, size_t size, MPI_Datatype type,
                            MPI_Op op)
{
    mpi_data *m = c->data;
    GT_TRY(arrive(c, kind, 0, n * size));
    const size_t piece = CHUNK_BYTES / size;
    for (size_t at = 0; at < n && c->size > 1; at += piece) {
        int count = (int)(n - at < piece ? n - at : piece);
        MPI_Request request;
        GT_MPI(MPI_Iallreduce(MPI_IN_PLACE, (char *)buffer + at * size, count, type, op, m->comm, &request));
        GT_TRY(wait_data(c, &request));
    }
    return leave(c);
}

static gt_status mpi_sum_i64(gt_comm *c, int64_t *buffer, size_t n)
{
    return all_reduce(c, SUM_I64, buffer, n, sizeof *buffer, MPI_INT64_T, MPI_SUM);
}

static gt_status mpi_max_i32(gt_comm *c, int32_t *buffer, size_t n)
{
    return all_reduce(c, MAX_I32, buffer, n, sizeof *buffer, MPI_INT32_T, MPI_MAX);
}

static gt_status mpi_broadcast(gt_comm *c, void *buffer, size_t bytes, int root)
{
    mpi_data *m = c->data;
    GT_TRY(arrive(c, BROADCAST, root, bytes));
    for (size_t at = 0; at < bytes && c->size > 1; at += CHUNK_BYTES) {
        int count = (int)(bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES);
        MPI_Request request;
        GT_MPI(MPI_Ibcast((char *)buffer + at, count, MPI_BYTE, root, m->comm, &request));
        GT_TRY(wait_data(c, &request));
    }
    return leave(c);
}

static gt_status gather_piece(gt_comm *c, const void *mine, size_t at, int count, size_t bytes, void *all)
{
    /* Rank r's piece goes to all + r * bytes + at: an element of `count` bytes whose extent is the whole row. */
    mpi_data *m = c->data;
    MPI_Datatype run, row;
    GT_MPI(MPI_Type_contiguous(count, MPI_BYTE, &run));
    GT_MPI(MPI_Type_create_resized(run, 0, (MPI_Aint)bytes, &row));
    GT_MPI(MPI_Type_commit(&row));
    MPI_Request request;
    GT_MPI(MPI_Iallgather((const char *)mine + at, count, MPI_BYTE, (char *)all + at, 1, row, m->comm, &request));
    GT_MPI(MPI_Type_free(&row)); /* MPI keeps it until the request is done */
    GT_MPI(MPI_Type_free(&run));
    return wait_data(c, &request);
}

static gt_status mpi_gather(gt_comm *c, const void *mine, size_t bytes, void *all)
{
    GT_TRY(arrive(c, GATHER, 0, bytes));
    const size_t limit = CHUNK_BYTES / (size_t)c->size + 1;
    for (size_t at = 0; at < bytes; at += limit)
        GT_TRY(gather_piece(c, mine, at, (int)(bytes - at < limit ? bytes - at : limit), bytes, all));
    return leave(c);
}

static gt_status mpi_barrier(gt_comm *c)
{
    GT_TRY(arrive(c, BARRIER, 0, 0)); /* the arrival is the barrier */
    return leave(c);
}

static volatile sig_atomic_t abort_code;
static void leave_hard(int number)
{
    (void)number;
    _exit(abort_code);
}

static void mpi_abort(gt_comm *c, int exit_code)
{
    (void)c;
    fflush(NULL);
    abort_code = exit_code;
    signal(SIGALRM, leave_hard); /* a launcher that is gone must not hold us */
    alarm(ABORT_SECONDS);
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
}

static void free_comm(gt_comm *c)
{
    mpi_data *m = c->data;
    if (m) {
        free(m->theirs);
        free(m->receive);
        free(m->send);
        free(m->arrived);
        free(m->index);
        free(m);
    }
    free(c);
}

static void mpi_destroy(gt_comm *c)
{
    mpi_data *m = c->data;
    if (m->broken || mpi_barrier(c) != GT_OK) {
        /* Requests are under way into this memory: it stays theirs until the process ends, and MPI with it. */
        gt_log(GT_DEBUG, "dist", "leaving MPI without MPI_Finalize: %s", gt_error_last()->message);
        return;
    }
    for (int r = 0; r < c->size; r++) {
        if (r == c->rank) continue;
        MPI_Request_free(&m->receive[r]);
        MPI_Request_free(&m->send[r]);
    }
    MPI_Comm_free(&m->comm);
    free_comm(c);
    MPI_Finalize();
}

static gt_status place_on_node(gt_comm *c)
{
    MPI_Comm node;
    GT_MPI(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, c->rank, MPI_INFO_NULL, &node));
    GT_MPI(MPI_Comm_rank(node, &c->node_rank));
    GT_MPI(MPI_Comm_size(node, &c->node_size));
    GT_MPI(MPI_Comm_free(&node));
    int first = c->node_rank == 0;
    GT_MPI(MPI_Allreduce(&first, &c->nodes, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD));
    return GT_OK;
}

static gt_status connect_ranks(gt_comm *c)
{
    mpi_data *m = c->data;
    GT_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    GT_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &c->rank));
    GT_MPI(MPI_Comm_size(MPI_COMM_WORLD, &c->size));
    GT_TRY(place_on_node(c));
    GT_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &m->comm));
    GT_MPI(MPI_Comm_set_errhandler(m->comm, MPI_ERRORS_RETURN));

    const size_t n = (size_t)c->size;
    m->theirs = calloc(n, sizeof *m->theirs);
    m->receive = calloc(n, sizeof *m->receive);
    m->send = calloc(n, sizeof *m->send);
    m->arrived = calloc(n, sizeof *m->arrived);
    m->index = calloc(n, sizeof *m->index);
    if (!m->theirs || !m->receive || !m->send || !m->arrived || !m->index)
        return GT_FAIL(GT_ERR_NOMEM, "no memory for a communicator of %d ranks", c->size);
    for (int r = 0; r < c->size; r++) {
        m->receive[r] = m->send[r] = MPI_REQUEST_NULL;
        if (r == c->rank) continue;
        GT_MPI(MPI_Recv_init(&m->theirs[r], sizeof *m->theirs, MPI_BYTE, r, TAG_ARRIVAL, m->comm, &m->receive[r]));
        GT_MPI(MPI_Send_init(&m->mine, sizeof m->mine, MPI_BYTE, r, TAG_ARRIVAL, m->comm, &m->send[r]));
    }
    return GT_OK;
}

static const gt_comm_ops mpi_ops = {"mpi",      mpi_sum_i64, mpi_max_i32, mpi_broadcast,
                                    mpi_gather, mpi_barrier, mpi_abort,   mpi_destroy};

gt_status gt_comm_mpi_create(gt_comm **out, double timeout_seconds)
{
    int done = 0;
    MPI_Initialized(&done);
    if (done) return GT_FAIL(GT_ERR_INTERNAL, "MPI is initialized already: one communicator a process");
    gt_comm *c = calloc(1, sizeof *c);
    mpi_data *m = calloc(1, sizeof *m);
    if (!c || !m) {
        free(c);
        free(m);
        return GT_FAIL(GT_ERR_NOMEM, "no memory for a communicator");
    }
    c->ops = &mpi_ops;
    c->data = m;
    c->timeout_seconds = timeout_seconds;
    /* More ranks than cores: without it Open MPI's own waits spin against the rank they wait for (a barrier of 4 ranks
     * on 2 cores takes milliseconds instead of microseconds). The user's own setting wins. */
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
    int provided = 0;
    gt_status st = mpi_check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    if (st == GT_OK && provided < MPI_THREAD_FUNNELED)
        st = GT_FAIL(GT_ERR_CONFIG, "this MPI supports no threads (level %d; MPI_THREAD_FUNNELED is needed)", provided);
    if (st == GT_OK) st = connect_ranks(c);
    if (st != GT_OK) {
        free_comm(c);
        return st;
    }
    *out = c;
    return GT_OK;
}
