/* test_ckpt_ranks.c - checkpoints by several ranks (tests.cmake: 1, 2 and 4): one folder, one verdict, and the same
 * window whoever had computed it. */
#include "ckpt_case.h"

#include "fs.h"
#include "log.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static gt_comm *comm;
static char dir[1024];

static void shared_dir(void)
{
    if (comm->rank == 0) snprintf(dir, sizeof dir, "%s", temp_dir());
    assert_ok(gt_comm_broadcast(comm, dir, sizeof dir, 0));
}

static bool has(const char *name)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return gt_fs_exists(path);
}

/* Every rank finds, loads and checks; returns how many micro-batches of the window are done. */
static int resume(int64_t step)
{
    gt_ckpt *c = NULL;
    ckpt_case want, got;
    uint8_t skip[CASE_MICRO];
    assert_ok(gt_ckpt_open_all(comm, &c, dir, NULL));
    assert_int_equal(gt_ckpt_state(c)->step, step);
    assert_string_equal(gt_ckpt_state(c)->tool, "gemtune 0.1.0");
    case_make(&want, step, 1);
    case_make(&got, step, 1);
    memset(got.memory, 0x55, 3 * got.n * sizeof(float));
    assert_ok(gt_ckpt_load(comm, c, got.tensor, CASE_TENSORS));
    assert_memory_equal(got.memory, want.memory, 3 * want.n * sizeof(float));
    assert_ok(gt_ckpt_load_window(comm, c, &got.part, skip));
    case_check_sums(&got, &got.part); /* on ranks above 0: nothing, and zeros */
    int n = 0;
    for (int m = 0; m < CASE_MICRO; m++) {
        n += skip[m];
        assert_int_equal(got.finished[m], comm->rank == 0 ? skip[m] : 0);
    }
    gt_ckpt_close(c);
    case_free(&want);
    case_free(&got);
    return n;
}

static void without_any_checkpoint_there_is_none_on_every_rank(void **state)
{
    (void)state;
    shared_dir();
    gt_ckpt *c = (gt_ckpt *)dir;
    assert_ok(gt_ckpt_open_all(comm, &c, dir, NULL));
    assert_null(c);
    assert_fails(gt_ckpt_open_all(comm, &c, dir, "/nonexistent"), GT_ERR_DATA,
                 comm->rank == 0 ? "not a checkpoint" : "");
}

static void a_window_saved_together_is_resumed_whole(void **state)
{
    (void)state;
    shared_dir();
    ckpt_case k;
    case_make(&k, 8, 1);
    gt_ckpt_policy p = case_policy(dir, 2);
    char *path = NULL, name[64];
    assert_ok(gt_ckpt_save(comm, &p, &k.s, NULL, NULL));
    for (int m = comm->rank; m < CASE_MICRO - 2; m += comm->size) case_finish(&k, m);
    assert_ok(gt_ckpt_save(comm, &p, &k.s, &k.part, &path));
    snprintf(name, sizeof name, "/checkpoint-8.%d", CASE_MICRO - 2);
    assert_non_null(strstr(path, name));
    free(path);
    assert_int_equal(resume(8), CASE_MICRO - 2);
    /* A life that goes on: rank 0 has it all, the others begin anew; one more micro-batch each. */
    gt_ckpt *c = NULL;
    uint8_t skip[CASE_MICRO];
    assert_ok(gt_ckpt_open_all(comm, &c, dir, NULL));
    assert_ok(gt_ckpt_load_window(comm, c, &k.part, skip));
    gt_ckpt_close(c);
    if (comm->rank < 2) case_finish(&k, CASE_MICRO - 2 + comm->rank);
    assert_ok(gt_ckpt_save_alone(comm->rank, dir, &k.s, &k.part));
    assert_ok(gt_comm_barrier(comm));
    assert_int_equal(resume(8), CASE_MICRO - 2 + (comm->size > 1 ? 2 : 1));
    case_free(&k);
}

static void one_rank_without_room_fails_the_save_of_all_and_harms_nothing(void **state)
{
    (void)state;
    shared_dir();
    signal(SIGXFSZ, SIG_IGN);
    ckpt_case k;
    case_make(&k, 4, 1);
    gt_ckpt_policy p = case_policy(dir, 2);
    assert_ok(gt_ckpt_save(comm, &p, &k.s, NULL, NULL));
    case_finish(&k, comm->rank);
    for (int i = 0; i < 10; i++) {
        const int poor = i % comm->size;
        struct rlimit r;
        getrlimit(RLIMIT_FSIZE, &r);
        r.rlim_cur = comm->rank == poor ? (rlim_t)i * 500 : RLIM_INFINITY;
        setrlimit(RLIMIT_FSIZE, &r);
        gt_status st = gt_ckpt_save(comm, &p, &k.s, &k.part, NULL);
        r.rlim_cur = RLIM_INFINITY;
        setrlimit(RLIMIT_FSIZE, &r);
        assert_int_equal(st, GT_ERR_IO);
        if (comm->rank != poor) assert_non_null(strstr(gt_error_last()->message, "another rank failed"));
        assert_ok(gt_comm_barrier(comm)); /* the ranks are still in step */
        assert_int_equal(resume(4), 0);
    }
    assert_ok(gt_ckpt_save(comm, &p, &k.s, &k.part, NULL));
    assert_int_equal(resume(4), comm->size);
    case_free(&k);
}

static void ranks_that_hold_different_adapters_are_found_out(void **state)
{
    (void)state;
    shared_dir();
    ckpt_case k;
    case_make(&k, 4, 1);
    gt_ckpt_policy p = case_policy(dir, 2);
    if (comm->size > 1 && comm->rank == comm->size - 1) k.memory[7] += 1;
    gt_status st = gt_ckpt_save(comm, &p, &k.s, NULL, NULL);
    assert_int_equal(st, comm->size > 1 ? GT_ERR_INTERNAL : GT_OK);
    assert_ok(gt_comm_barrier(comm));
    assert_int_equal(has("checkpoint-4"), comm->size == 1);
    case_free(&k);
}

static void what_is_not_finite_is_refused_on_every_rank(void **state)
{
    (void)state;
    shared_dir();
    ckpt_case k;
    case_make(&k, 4, 1);
    gt_ckpt_policy p = case_policy(dir, 2);
    k.memory[k.n + 3] = 1.0f / 0.0f;
    assert_fails(gt_ckpt_save(comm, &p, &k.s, NULL, NULL), GT_ERR_DATA,
                 comm->rank == 0 ? "first moment" : "another rank");
    assert_false(has("checkpoint-4"));
    case_free(&k);
}

int main(void)
{
    setenv("GT_LOG", "error", 0);
    gt_log_init(-1);
    if (gt_comm_create(&comm, 60) != GT_OK) {
        print_error("%s\n", gt_error_last()->message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_checkpoint_there_is_none_on_every_rank),
        cmocka_unit_test(a_window_saved_together_is_resumed_whole),
        cmocka_unit_test(one_rank_without_room_fails_the_save_of_all_and_harms_nothing),
        cmocka_unit_test(ranks_that_hold_different_adapters_are_found_out),
        cmocka_unit_test(what_is_not_finite_is_refused_on_every_rank),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gt_comm_destroy(comm);
    return failed;
}
