/* The memory of a rank that trains: what is measured is what is carved, and it follows from sizes alone. */
#include "base_open.h"
#include "testing.h"
#include "train_memory.h"

#include <string.h>

static gt_weights *open_tiny(void)
{
    gt_weights *w;
    assert_ok(gt_base_open(&w, golden("tiny/mqa_short"), &(gt_base_options){.dtype = GT_BASE_NATIVE}, NULL));
    return w;
}

/* An engine whose adapter, of rank 4 beside every projection, is laid out. */
static gt_train_engine laid_out(const gt_weights *w)
{
    static int ranks[GT_MAX_LAYERS * GT_PROJ_COUNT];
    static float scalings[GT_MAX_LAYERS * GT_PROJ_COUNT];
    gt_train_engine e;
    memset(&e, 0, sizeof e);
    for (int i = 0; i < gt_slot_count(&w->config); i++) {
        ranks[i] = 4;
        scalings[i] = 2;
    }
    gt_lora_layout(&e.lora, &w->config, ranks, scalings);
    return e;
}

static const gt_train_size small = {.backend = GT_BACKEND_CPU,
                                    .act = GT_F32,
                                    .threads = 1,
                                    .keep = GT_KEEP_INPUTS,
                                    .longest_row = 20,
                                    .micro_rows = 3,
                                    .max_micros = 5};

/* Bytes that a rank of this size takes, the model's own in them. */
static size_t bytes(const gt_weights *w, const gt_train_size *s)
{
    gt_train_engine e = laid_out(w);
    gt_arena own, rest;
    assert_ok(gt_train_memory_measure(&own, &rest, &e, w, s));
    return own.used + rest.used;
}

static void what_is_measured_is_what_is_carved(void **state)
{
    (void)state;
    gt_weights *w = open_tiny();
    gt_train_engine e = laid_out(w);
    gt_arena own, rest;
    assert_ok(gt_train_memory_measure(&own, &rest, &e, w, &small));
    assert_ok(gt_train_memory_make(&e, w, &small));
    assert_int_equal(e.arena.used, rest.used);
    assert_int_equal(e.arena.capacity, rest.used);
    assert_int_equal(e.model->arena.used, own.used);
    assert_int_equal(e.arena.entry_count, rest.entry_count);
    for (int i = 0; i < rest.entry_count; i++) {
        assert_string_equal(e.arena.entry[i].name, rest.entry[i].name);
        assert_int_equal(e.arena.entry[i].bytes, rest.entry[i].bytes);
    }
    assert_ptr_equal(e.model->lora, &e.lora);
    assert_ptr_equal(e.trainer.model, e.model);
    memset(e.lora.param, 1, e.lora.count * sizeof *e.lora.param); /* the sanitizers see that it is there */
    memset(e.owner, 1, (size_t)small.max_micros * sizeof *e.owner);
    memset(e.cost, 1, (size_t)small.max_micros * sizeof *e.cost);
    memset(e.done, 1, (size_t)small.max_micros);
    gt_train_memory_free(&e);
    gt_weights_close(w);
}

static void short_rows_are_grouped_and_the_longest_always_fits(void **state)
{
    (void)state;
    static const struct {
        int longest, rows, tokens;
    } cases[] = {{20, 1, 20}, {20, 3, 60}, {20, 1000, 1024}, {1024, 1, 1024}, {1500, 8, 1500}};
    gt_weights *w = open_tiny();
    w->config.max_position_embeddings = 2048;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gt_train_engine e = laid_out(w);
        gt_train_size s = small;
        s.longest_row = cases[i].longest;
        s.micro_rows = cases[i].rows;
        assert_ok(gt_train_memory_make(&e, w, &s));
        assert_int_equal(e.trainer.pass_tokens, cases[i].tokens);
        assert_int_equal(e.pass.max_tokens, cases[i].tokens);
        assert_int_equal(e.model->positions, cases[i].longest);
        gt_train_memory_free(&e);
    }
    gt_weights_close(w);
}

static void what_is_kept_for_the_backward_and_longer_rows_cost_memory(void **state)
{
    (void)state;
    gt_weights *w = open_tiny();
    gt_train_size s = small;
    const size_t inputs = bytes(w, &s);
    s.keep = GT_KEEP_NO_MLP;
    const size_t no_mlp = bytes(w, &s);
    s.keep = GT_KEEP_ALL;
    const size_t all = bytes(w, &s);
    assert_true(inputs < no_mlp && no_mlp < all);
    s.longest_row *= 2;
    assert_true(bytes(w, &s) > all);
    gt_weights_close(w);
}

static void a_dtype_without_a_table_is_refused(void **state)
{
    (void)state;
    gt_weights *w = open_tiny();
    gt_train_engine e = laid_out(w);
    gt_train_size s = small;
    gt_arena own, rest;
    s.act = GT_F64; /* ref alone has it */
    assert_fails(gt_train_memory_measure(&own, &rest, &e, w, &s), GT_ERR_CONFIG, "");
    assert_fails(gt_train_memory_make(&e, w, &s), GT_ERR_CONFIG, "");
    gt_train_memory_free(&e);
    gt_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_measured_is_what_is_carved),
        cmocka_unit_test(short_rows_are_grouped_and_the_longest_always_fits),
        cmocka_unit_test(what_is_kept_for_the_backward_and_longer_rows_cost_memory),
        cmocka_unit_test(a_dtype_without_a_table_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
