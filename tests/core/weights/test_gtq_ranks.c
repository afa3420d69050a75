/* Several ranks pack a base together: the file is, byte for byte, the one that a rank alone writes; a failure on one
 * rank is everybody's and leaves nothing. */
#include "testing.h"

#include "comm.h"
#include "fs.h"
#include "gtq.h"
#include "hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static gt_comm *comm;

/* One folder for all ranks: rank 0's. */
static void shared_path(char path[1024], const char *name)
{
    memset(path, 0, 1024);
    if (comm->rank == 0) snprintf(path, 1024, "%s/%s", temp_dir(), name);
    assert_ok(gt_comm_broadcast(comm, path, 1024, 0));
}

static void ranks_do_not_change_the_bytes(void **state)
{
    (void)state;
    gt_weights *w = NULL;
    char together[1024], alone[1024];
    uint8_t a[32], b[32];
    const gt_gtq_options o = {.double_quant = true, .tokenizer = "tokens", .tokenizer_bytes = 6};
    assert_ok(gt_weights_open(&w, golden("tiny/wide_head")));
    shared_path(together, "together.gtq");
    shared_path(alone, "alone.gtq");
    gt_pool *pool = NULL;
    assert_ok(gt_pool_create(&pool, 1 + comm->rank % 2));
    assert_ok(gt_gtq_write(together, w, &o, comm, pool));
    if (comm->rank == 0) {
        assert_ok(gt_gtq_write(alone, w, &o, NULL, NULL));
        assert_ok(gt_sha256_file(a, together));
        assert_ok(gt_sha256_file(b, alone));
        assert_memory_equal(a, b, 32);
        assert_ok(gt_gtq_verify(together, pool));
    }
    assert_ok(gt_comm_barrier(comm));
    gt_weights *packed = NULL; /* every rank maps the one file */
    assert_ok(gt_weights_open(&packed, together));
    gt_weights_close(packed);
    gt_weights_close(w);
    gt_pool_destroy(pool);
    assert_ok(gt_comm_barrier(comm));
}

static void one_rank_s_failure_is_everybody_s(void **state)
{
    (void)state;
    gt_weights *w = NULL;
    char path[1024], folder[1024];
    const gt_gtq_options o = {.double_quant = true};
    assert_ok(gt_weights_open(&w, golden("tiny/wide_head")));
    shared_path(path, "bad.gtq");
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    /* NaN in the last layer, as only its owner would see */
    gt_matrix *m = &w->proj[w->config.num_hidden_layers - 1][GT_Q_PROJ];
    const size_t n = (size_t)m->rows * (size_t)m->cols;
    uint16_t *values = malloc(n * 2);
    memcpy(values, m->data, n * 2);
    values[5] = 0x7fc0;
    m->data = values;
    assert_int_equal(gt_gtq_write(path, w, &o, comm, NULL), GT_ERR_DATA);
    if (comm->rank == 0) assert_int_equal(rmdir(folder), 0);
    free(values);
    gt_weights_close(w);
    assert_ok(gt_comm_barrier(comm));
}

int main(void)
{
    if (gt_comm_create(&comm, 60) != GT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_do_not_change_the_bytes),
        cmocka_unit_test(one_rank_s_failure_is_everybody_s),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gt_comm_destroy(comm);
    return failed;
}
