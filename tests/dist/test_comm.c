/* test_comm.c - every collective, at 1, 2 and 4 ranks (tests.cmake). The expected values are computed from the ranks'
 * numbers, so each rank checks the whole by itself. */
#include "testing.h"

#include "comm.h"

#include <stdlib.h>
#include <string.h>

static gt_comm *comm;

static void sums_of_64_bit_integers_are_exact_and_wrap_nowhere(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0, 1, 7, 1000, (size_t)(2 << 20) + 3, (size_t)(4 << 20) + 1}; /* the last two: pieces */
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s];
        int64_t *x = malloc((n + 1) * sizeof *x);
        for (size_t i = 0; i < n; i++) x[i] = ((int64_t)1 << 55) * (comm->rank + 1) - (int64_t)i * 3;
        x[n] = -77;
        assert_ok(gt_comm_sum_i64(comm, x, n));
        const int64_t k = (int64_t)comm->size * (comm->size + 1) / 2;
        for (size_t i = 0; i < n; i++)
            if (x[i] != ((int64_t)1 << 55) * k - (int64_t)i * 3 * comm->size) fail_msg("element %zu of %zu", i, n);
        assert_int_equal(x[n], -77); /* nothing behind the buffer was touched */
        free(x);
    }
}

static void maxima_are_the_highest_of_any_rank(void **state)
{
    (void)state;
    int32_t x[3] = {comm->rank, -comm->rank, comm->rank == comm->size / 2 ? 1000 : -5};
    assert_ok(gt_comm_max_i32(comm, x, 3));
    assert_int_equal(x[0], comm->size - 1);
    assert_int_equal(x[1], 0);
    assert_int_equal(x[2], 1000);
}

static void a_broadcast_brings_every_byte_of_each_root(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 13, (size_t)(16 << 20) + 5};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int root = 0; root < comm->size; root++) {
            unsigned char *b = malloc(sizes[s] + 1);
            for (size_t i = 0; i < sizes[s]; i++)
                b[i] = (unsigned char)(comm->rank == root ? i * 7 + (size_t)root : 0xee);
            assert_ok(gt_comm_broadcast(comm, b, sizes[s], root));
            for (size_t i = 0; i < sizes[s]; i++)
                if (b[i] != (unsigned char)(i * 7 + (size_t)root)) fail_msg("byte %zu from rank %d", i, root);
            free(b);
        }
}

static void a_gather_puts_each_rank_in_its_place_on_every_rank(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 32, (size_t)(9 << 20) + 11};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s];
        unsigned char *mine = malloc(n + 1), *all = malloc(n * (size_t)comm->size + 1);
        for (size_t i = 0; i < n; i++) mine[i] = (unsigned char)(i * 13 + (size_t)comm->rank);
        assert_ok(gt_comm_gather(comm, mine, n, all));
        for (int r = 0; r < comm->size; r++)
            for (size_t i = 0; i < n; i++)
                if (all[(size_t)r * n + i] != (unsigned char)(i * 13 + (size_t)r)) fail_msg("rank %d byte %zu", r, i);
        free(mine);
        free(all);
    }
}

static void agreement_returns_the_gravest_status_and_keeps_own_words(void **state)
{
    (void)state;
    assert_ok(gt_comm_agree(comm, GT_OK));
    const int bad = comm->size - 1;
    gt_status mine = comm->rank == bad ? GT_FAIL(GT_ERR_IO, "the disk of rank %d is full", bad) : GT_OK;
    assert_fails(gt_comm_agree(comm, mine), GT_ERR_IO, comm->rank == bad ? "is full" : "another rank failed");
    assert_int_equal(gt_error_last()->elsewhere, comm->rank != bad);
    /* Two that fail: all leave with the graver code, each with its own words. */
    mine = comm->rank == 0 ? GT_FAIL(GT_ERR_DATA, "row 7") : comm->rank == bad ? GT_FAIL(GT_ERR_NOMEM, "heap") : GT_OK;
    const gt_status want = comm->size > 1 ? GT_ERR_NOMEM : GT_ERR_DATA;
    assert_fails(gt_comm_agree(comm, mine), want,
                 comm->rank == 0     ? "row 7"
                 : comm->rank == bad ? "heap"
                                     : "another rank failed");
    assert_int_equal(gt_error_last()->elsewhere, comm->rank != 0 && comm->rank != bad);
    assert_ok(gt_comm_agree(comm, GT_OK)); /* a failure agreed on leaves the ranks in step */
}

static void a_question_rides_on_an_agreement(void **state)
{
    (void)state;
    for (int asker = -1; asker < comm->size; asker++) {
        bool any = comm->rank == asker;
        assert_ok(gt_comm_agree_and(comm, GT_OK, &any));
        assert_int_equal(any, asker >= 0);
    }
    /* Asked by one and failed on another: both come to all. */
    const int bad = comm->size - 1;
    bool any = comm->rank == 0;
    gt_status mine = comm->rank == bad ? GT_FAIL(GT_ERR_IO, "the disk of rank %d is full", bad) : GT_OK;
    assert_fails(gt_comm_agree_and(comm, mine, &any), GT_ERR_IO, comm->rank == bad ? "is full" : "another rank failed");
    assert_true(any);
}

static void a_rank_alone_agrees_with_itself(void **state)
{
    (void)state;
    bool any = true;
    assert_int_equal(gt_comm_agree_and(NULL, GT_ERR_DATA, &any), GT_ERR_DATA);
    assert_true(any);
    assert_ok(gt_comm_agree(NULL, GT_OK));
}

static void a_wrong_root_is_refused(void **state)
{
    (void)state;
    if (comm->size > 1) skip(); /* under MPI a contract broken breaks the communicator; see test_comm_faults */
    char b = 0;
    assert_fails(gt_comm_broadcast(comm, &b, 1, 1), GT_ERR_ARG, "rank 1 of 1");
}

static void the_ranks_know_their_places(void **state)
{
    (void)state;
    assert_in_range(comm->rank, 0, comm->size - 1);
    assert_int_equal(comm->nodes, 1); /* the tests run on one machine */
    assert_int_equal(comm->node_size, comm->size);
    assert_int_equal(comm->node_rank, comm->rank);
    const char *world = getenv("OMPI_COMM_WORLD_SIZE");
    assert_int_equal(comm->size, world ? atoi(world) : 1);
    assert_string_equal(comm->ops->name, world ? "mpi" : "self");
}

static void a_thousand_barriers_keep_step(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) assert_ok(gt_comm_barrier(comm));
}

int main(void)
{
    if (gt_comm_create(&comm, 60) != GT_OK) {
        print_error("%s\n", gt_error_last()->message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ranks_know_their_places),
        cmocka_unit_test(sums_of_64_bit_integers_are_exact_and_wrap_nowhere),
        cmocka_unit_test(maxima_are_the_highest_of_any_rank),
        cmocka_unit_test(a_broadcast_brings_every_byte_of_each_root),
        cmocka_unit_test(a_gather_puts_each_rank_in_its_place_on_every_rank),
        cmocka_unit_test(agreement_returns_the_gravest_status_and_keeps_own_words),
        cmocka_unit_test(a_question_rides_on_an_agreement),
        cmocka_unit_test(a_rank_alone_agrees_with_itself),
        cmocka_unit_test(a_wrong_root_is_refused),
        cmocka_unit_test(a_thousand_barriers_keep_step),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gt_comm_destroy(comm);
    return failed;
}
