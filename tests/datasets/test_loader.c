/* Epochs, windows and micro-batches over made-up samples, and the batch that the model gets. */
#include "testing.h"

#include "batch.h"
#include "loader.h"

#include <stdlib.h>
#include <string.h>

/* count samples of lengths 3, 4, 5, 3, ...; row numbers 10, 11, ...; the last token is supervised, of every second
 * sample the last two. */
static gt_samples make_samples(int count)
{
    gt_samples s = {.count = (size_t)count, .capacity = (size_t)count};
    s.sample = calloc((size_t)count, sizeof *s.sample);
    for (int i = 0; i < count; i++) {
        gt_sample *a = &s.sample[i];
        a->n = 3 + i % 3;
        a->row = 10 + (uint64_t)i;
        a->ids = calloc((size_t)a->n, sizeof *a->ids);
        a->label = calloc((size_t)a->n, 1);
        for (int p = 0; p < a->n; p++) a->ids[p] = 100 * i + p;
        a->label[a->n - 1] = 1;
        if (i % 2) a->label[a->n - 2] = 1;
        a->supervised = 1 + i % 2;
    }
    memset(s.sha256, count, 32);
    return s;
}

static void every_epoch_holds_every_row_once_in_windows_of_the_size_asked(void **state)
{
    (void)state;
    static const int shape[][3] = {{1, 1, 1}, {10, 1, 4}, {10, 3, 2}, {12, 3, 2}, {7, 4, 100}, {5, 100, 1}, {9, 2, 5}};
    for (size_t c = 0; c < sizeof shape / sizeof *shape; c++) {
        const int count = shape[c][0], per_micro = shape[c][1], per_window = shape[c][2];
        gt_samples s = make_samples(count);
        gt_loader *l;
        assert_ok(gt_loader_create(&l, &s, &(gt_loader_options){per_micro, per_window, true, 7, 0}));
        const int64_t micros = (count + per_micro - 1) / per_micro;
        assert_int_equal(gt_loader_micros(l), micros);
        assert_int_equal(gt_loader_windows(l), (micros + per_window - 1) / per_window);
        assert_int_equal(gt_loader_longest_micro(l), per_micro < count ? per_micro : count);
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            int seen[16] = {0};
            int64_t rows = 0;
            for (int64_t w = 0; w < gt_loader_windows(l); w++) {
                gt_window_rows window;
                assert_ok(gt_loader_window(l, epoch, w, &window));
                int64_t tokens = 0, supervised = 0, units = 0;
                for (int m = 0; m < window.micros; m++) {
                    const gt_micro_rows *micro = &window.micro[m];
                    assert_int_equal(micro->rows, micro->samples);
                    if (rows + units + per_micro <= count) assert_int_equal(micro->samples, per_micro);
                    for (int i = 0; i < micro->samples; i++) seen[micro->sample[i]->row - 10]++;
                    tokens += micro->tokens;
                    supervised += micro->supervised;
                    units += micro->rows;
                }
                assert_int_equal(window.tokens, tokens);
                assert_int_equal(window.supervised, supervised);
                assert_int_equal(window.rows, units);
                rows += units;
            }
            for (int i = 0; i < count; i++) assert_int_equal(seen[i], 1);
        }
        gt_loader_destroy(l);
        gt_samples_free(&s);
    }
}

static void order_of(gt_loader *l, int64_t epoch, uint64_t *row)
{
    int n = 0;
    for (int64_t w = 0; w < gt_loader_windows(l); w++) {
        gt_window_rows window;
        assert_ok(gt_loader_window(l, epoch, w, &window));
        for (int m = 0; m < window.micros; m++)
            for (int i = 0; i < window.micro[m].samples; i++) row[n++] = window.micro[m].sample[i]->row;
    }
}

static void the_order_depends_on_seed_and_epoch_alone(void **state)
{
    (void)state;
    enum { N = 40 };
    gt_samples s = make_samples(N);
    uint64_t a[N], b[N];
    gt_loader *l, *other, *plain;
    assert_ok(gt_loader_create(&l, &s, &(gt_loader_options){4, 3, true, 1, 0}));
    assert_ok(gt_loader_create(&other, &s, &(gt_loader_options){2, 5, true, 1, 0}));
    order_of(l, 0, a);
    order_of(l, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    order_of(l, 0, b); /* going back changes nothing */
    assert_memory_equal(a, b, sizeof a);
    order_of(other, 0, b); /* nor does the cut into micro-batches */
    assert_memory_equal(a, b, sizeof a);
    gt_loader_destroy(other);
    assert_ok(gt_loader_create(&other, &s, &(gt_loader_options){4, 3, true, 2, 0}));
    order_of(other, 0, b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_ok(gt_loader_create(&plain, &s, &(gt_loader_options){4, 3, false, 1, 0}));
    order_of(plain, 5, a);
    for (int i = 0; i < N; i++) assert_int_equal(a[i], 10 + i);
    gt_loader_destroy(l);
    gt_loader_destroy(other);
    gt_loader_destroy(plain);
    gt_samples_free(&s);
}

static void packed_units_are_bins_that_keep_their_rows(void **state)
{
    (void)state;
    gt_samples s = make_samples(30);
    gt_loader *l;
    assert_ok(gt_loader_create(&l, &s, &(gt_loader_options){2, 2, true, 3, 10}));
    assert_true(gt_loader_micros(l) < 15); /* fewer than two rows a micro-batch would give */
    int seen[30] = {0}, most = 0;
    for (int64_t w = 0; w < gt_loader_windows(l); w++) {
        gt_window_rows window;
        assert_ok(gt_loader_window(l, 0, w, &window));
        for (int m = 0; m < window.micros; m++) {
            const gt_micro_rows *micro = &window.micro[m];
            assert_true(micro->rows <= 2 && micro->tokens <= 20);
            if (micro->samples > most) most = micro->samples;
            for (int i = 0; i < micro->samples; i++) seen[micro->sample[i]->row - 10]++;
        }
    }
    for (int i = 0; i < 30; i++) assert_int_equal(seen[i], 1);
    assert_true(most <= gt_loader_longest_micro(l));
    gt_loader_destroy(l);
    assert_fails(gt_loader_create(&l, &s, &(gt_loader_options){2, 2, true, 3, 4}), GT_ERR_ARG, "5 tokens");
    gt_samples_free(&s);
}

static void positions_out_of_range_and_senseless_options_are_refused(void **state)
{
    (void)state;
    gt_samples s = make_samples(4), none = {0};
    gt_loader *l;
    gt_window_rows w;
    assert_fails(gt_loader_create(&l, &none, &(gt_loader_options){1, 1, true, 0, 0}), GT_ERR_DATA, "no row");
    assert_fails(gt_loader_create(&l, &s, &(gt_loader_options){0, 1, true, 0, 0}), GT_ERR_ARG, "at least 1");
    assert_fails(gt_loader_create(&l, &s, &(gt_loader_options){1, 0, true, 0, 0}), GT_ERR_ARG, "at least 1");
    assert_ok(gt_loader_create(&l, &s, &(gt_loader_options){2, 1, true, 0, 0}));
    assert_fails(gt_loader_window(l, 0, 2, &w), GT_ERR_ARG, "window below 2");
    assert_fails(gt_loader_window(l, 0, -1, &w), GT_ERR_ARG, "window below 2");
    assert_fails(gt_loader_window(l, -1, 0, &w), GT_ERR_ARG, "window below 2");
    gt_loader_destroy(l);
    gt_loader_destroy(NULL);
    gt_samples_free(&s);
}

static void the_cut_has_an_identity(void **state)
{
    (void)state;
    static const gt_loader_options o[] = {{2, 2, true, 3, 0},  {3, 2, true, 3, 0}, {2, 3, true, 3, 0},
                                          {2, 2, false, 3, 0}, {2, 2, true, 4, 0}, {2, 2, true, 3, 9}};
    enum { N = sizeof o / sizeof *o };
    gt_samples s = make_samples(8), other = make_samples(9);
    char id[N + 1][65];
    for (int i = 0; i < N + 1; i++) {
        gt_loader *l;
        assert_ok(gt_loader_create(&l, i < N ? &s : &other, &o[i % N]));
        gt_loader_id(l, id[i]);
        assert_int_equal(strlen(id[i]), 64);
        gt_loader_destroy(l);
        for (int j = 0; j < i; j++) assert_string_not_equal(id[i], id[j]);
    }
    gt_samples_free(&s);
    gt_samples_free(&other);
}

static void a_batch_lays_documents_end_to_end_with_their_targets(void **state)
{
    (void)state;
    gt_samples s = make_samples(3);
    const gt_sample *const list[] = {&s.sample[1], &s.sample[0], &s.sample[2]};
    gt_batch b;
    assert_ok(gt_batch_build(&b, list, 3));
    assert_int_equal(b.n, 12);
    assert_int_equal(b.docs, 3);
    assert_int_equal(b.longest, 5);
    assert_memory_equal(b.doc_begin, ((int32_t[]){0, 4, 7, 12}), 16);
    assert_memory_equal(b.doc_sample, ((uint64_t[]){11, 10, 12}), 24);
    assert_memory_equal(b.ids, ((int32_t[]){100, 101, 102, 103, 0, 1, 2, 200, 201, 202, 203, 204}), 48);
    assert_memory_equal(b.pos, ((int32_t[]){0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3, 4}), 48);
    assert_int_equal(b.targets, 4);
    assert_memory_equal(b.target_row, ((int32_t[]){1, 2, 5, 10}), 16);
    assert_memory_equal(b.target_id, ((int32_t[]){102, 103, 2, 204}), 16);
    gt_batch_free(&b);
    gt_batch_free(&b);
    gt_batch_free(NULL);
    s.sample[0].label[0] = 1;
    assert_fails(gt_batch_build(&b, list, 3), GT_ERR_ARG, "first token");
    assert_fails(gt_batch_build(&b, list, 0), GT_ERR_ARG, "at least 1");
    gt_samples_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_epoch_holds_every_row_once_in_windows_of_the_size_asked),
        cmocka_unit_test(the_order_depends_on_seed_and_epoch_alone),
        cmocka_unit_test(packed_units_are_bins_that_keep_their_rows),
        cmocka_unit_test(positions_out_of_range_and_senseless_options_are_refused),
        cmocka_unit_test(the_cut_has_an_identity),
        cmocka_unit_test(a_batch_lays_documents_end_to_end_with_their_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
