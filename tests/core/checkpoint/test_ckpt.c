/* test_ckpt.c - checkpoints on a healthy disk: what was saved comes back bit for bit, windows are merged, old ones go.
 */
#include "ckpt_case.h"

#include "fs.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static gt_comm *self;

static int setup(void **state)
{
    (void)state;
    return gt_comm_create_self(&self) == GT_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    gt_comm_destroy(self);
    return 0;
}

static void save_at(const char *dir, int64_t step, int keep)
{
    ckpt_case k;
    gt_ckpt_policy p = case_policy(dir, keep);
    case_make(&k, step, 1);
    assert_ok(gt_ckpt_save(self, &p, &k.s, NULL, NULL));
    case_free(&k);
}

static bool has(const char *dir, const char *name)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return gt_fs_exists(path);
}

static int entries(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void a_state_comes_back_bit_for_bit(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    static const int scales[] = {1, 4001}; /* one chunk each, and several (the last one partly filled) */
    for (int i = 0; i < 2; i++) {
        ckpt_case k, got;
        case_make(&k, 12 + i, scales[i]);
        gt_ckpt_policy p = case_policy(dir, 0);
        char *path = NULL;
        assert_ok(gt_ckpt_save(self, &p, &k.s, NULL, &path));
        gt_ckpt *c = NULL;
        assert_ok(gt_ckpt_open(&c, path));
        const gt_train_state *s = gt_ckpt_state(c);
        assert_int_equal(s->step, 12 + i);
        assert_int_equal(s->epoch, 2);
        assert_int_equal(s->window, 5);
        assert_int_equal(s->tokens_seen, 12345678901);
        assert_true(s->seed == k.s.seed);
        assert_int_equal(s->world_size, 3);
        assert_memory_equal(&s->best_eval_loss, &k.s.best_eval_loss, sizeof(double));
        assert_int_equal(s->best_eval_step, 7);
        assert_string_equal(s->recipe, k.s.recipe);
        assert_string_equal(s->metrics, k.s.metrics);
        assert_string_equal(s->extra, "{}");
        assert_string_equal(s->dataset, k.s.dataset);
        assert_string_equal(s->base, k.s.base);
        assert_string_equal(s->tokenizer, "");
        assert_string_equal(s->numerics, k.s.numerics);
        assert_string_equal(s->tool, k.s.tool);
        assert_int_equal(s->tensor_count, CASE_TENSORS);
        assert_int_equal(gt_ckpt_finished(c), 0);
        assert_ok(case_read(&got, c, 0, scales[i]));
        assert_memory_equal(got.memory, k.memory, 3 * k.n * sizeof(float));
        gt_ckpt_close(c);
        case_free(&k);
        case_free(&got);
        free(path);
    }
}

static void equal_states_give_equal_files(void **state)
{
    (void)state;
    const char *one = temp_dir(), *two = temp_dir();
    save_at(one, 3, 0);
    sleep(1); /* nothing may hold the time */
    save_at(two, 3, 0);
    char command[4096];
    snprintf(command, sizeof command, "diff -r %s %s", one, two);
    assert_int_equal(system(command), 0);
}

static void tensors_are_found_by_name_and_moments_may_be_left_out(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    ckpt_case k, got;
    case_make(&k, 1, 1);
    case_make(&got, 0, 1);
    save_at(dir, 1, 0);
    gt_ckpt *c = NULL;
    assert_ok(gt_ckpt_find(&c, dir));
    gt_ckpt_tensor reversed[CASE_TENSORS];
    for (int i = 0; i < CASE_TENSORS; i++) {
        reversed[i] = got.tensor[CASE_TENSORS - 1 - i];
        reversed[i].m = reversed[i].v = NULL;
    }
    assert_ok(gt_ckpt_read(c, reversed, CASE_TENSORS));
    assert_memory_equal(got.memory, k.memory, k.n * sizeof(float));
    assert_memory_not_equal(got.memory + k.n, k.memory + k.n, k.n * sizeof(float));
    gt_ckpt_close(c);
    case_free(&k);
    case_free(&got);
}

static void other_tensors_are_refused_and_nothing_is_written(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    save_at(dir, 1, 0);
    gt_ckpt *c = NULL;
    assert_ok(gt_ckpt_find(&c, dir));
    ckpt_case k;
    case_make(&k, 77, 1);
    float before = k.memory[5];
    k.tensor[2].name = "l0.o_proj.lora_A";
    assert_fails(gt_ckpt_read(c, k.tensor, CASE_TENSORS), GT_ERR_CONFIG, "l0.k_proj.lora_A");
    case_free(&k);
    case_make(&k, 77, 1);
    k.tensor[0].shape[0] = 8;
    assert_fails(gt_ckpt_read(c, k.tensor, CASE_TENSORS), GT_ERR_CONFIG, "[4, 24], expected [8, 24]");
    case_free(&k);
    case_make(&k, 77, 1);
    assert_fails(gt_ckpt_read(c, k.tensor, CASE_TENSORS - 1), GT_ERR_CONFIG, "'wide'");
    assert_true(k.memory[5] == before);
    case_free(&k);
    gt_ckpt_close(c);
}

static void what_is_not_finite_is_not_saved(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int kind = 0; kind < 3; kind++) {
        ckpt_case k;
        case_make(&k, 4, 1);
        k.memory[(size_t)kind * k.n + 9] = bad[kind];
        gt_ckpt_policy p = case_policy(dir, 0);
        assert_fails(gt_ckpt_save(self, &p, &k.s, NULL, NULL), GT_ERR_DATA, "not finite");
        assert_fails(gt_ckpt_save_alone(0, dir, &k.s, NULL), GT_ERR_DATA, "l0.q_proj.lora_A");
        case_free(&k);
    }
    assert_int_equal(entries(dir), 0);
}

static void texts_that_are_no_json_are_refused_at_saving(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    ckpt_case k;
    case_make(&k, 4, 1);
    gt_ckpt_policy p = case_policy(dir, 0);
    k.s.recipe = "{\"a\": 1, \"a\": 2}";
    assert_fails(gt_ckpt_save(self, &p, &k.s, NULL, NULL), GT_ERR_ARG, "");
    k.s.recipe = "{}}, {";
    assert_fails(gt_ckpt_save(self, &p, &k.s, NULL, NULL), GT_ERR_ARG, "");
    k.s.recipe = "{}";
    k.s.base = "no identity";
    assert_fails(gt_ckpt_save(self, &p, &k.s, NULL, NULL), GT_ERR_ARG, "base");
    k.s.base = k.s.dataset;
    k.tensor[1].name = "../up";
    assert_int_not_equal(gt_ckpt_save(self, &p, &k.s, NULL, NULL), GT_OK);
    assert_int_equal(entries(dir), 0);
    case_free(&k);
}

static void the_newest_is_found_by_step_whatever_the_files_times_say(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    gt_ckpt *c = NULL;
    assert_ok(gt_ckpt_find(&c, dir));
    assert_null(c);
    assert_false(gt_ckpt_any(dir));
    static const int64_t steps[] = {9, 100, 20};
    for (int i = 0; i < 3; i++) save_at(dir, steps[i], 0);
    char command[4096];
    snprintf(command, sizeof command, "touch -d '2001-01-01' %s/checkpoint-100 %s/checkpoint-100/*", dir, dir);
    assert_int_equal(system(command), 0);
    assert_true(gt_ckpt_any(dir));
    assert_ok(gt_ckpt_find(&c, dir));
    assert_int_equal(gt_ckpt_state(c)->step, 100);
    gt_ckpt_close(c);
}

static void the_last_k_are_kept_with_the_best_and_the_one_resumed(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    for (int64_t step = 1; step <= 3; step++) save_at(dir, step, 0);
    char resumed[2048];
    snprintf(resumed, sizeof resumed, "%s/checkpoint-3/", dir);
    for (int64_t step = 4; step <= 7; step++) {
        ckpt_case k;
        case_make(&k, step, 1);
        gt_ckpt_policy p = {dir, 2, resumed, 2};
        assert_ok(gt_ckpt_save(self, &p, &k.s, NULL, NULL));
        case_free(&k);
    }
    assert_true(has(dir, "checkpoint-7") && has(dir, "checkpoint-6"));
    assert_true(has(dir, "checkpoint-3") && has(dir, "checkpoint-2"));
    assert_int_equal(entries(dir), 4);
}

/* One life: each of `ranks` ranks finishes its micro-batches and leaves alone. */
static void leave_alone(const char *dir, int64_t step, int rank, const int *micros, int count)
{
    ckpt_case k;
    case_make(&k, step, 1);
    for (int i = 0; i < count; i++) case_finish(&k, micros[i]);
    assert_ok(gt_ckpt_save_alone(rank, dir, &k.s, &k.part));
    case_free(&k);
}

static int load_window(const char *dir, int64_t step, uint8_t skip[CASE_MICRO])
{
    gt_ckpt *c = NULL;
    assert_ok(gt_ckpt_open_all(self, &c, dir, NULL));
    assert_int_equal(gt_ckpt_state(c)->step, step);
    ckpt_case want, got;
    case_make(&want, step, 1);
    case_make(&got, 0, 1);
    got.s.step = step;
    memset(got.part.sum, 0x33, (got.n + CASE_NUMBERS) * sizeof(int64_t));
    memset(got.finished, 1, CASE_MICRO);
    assert_ok(gt_ckpt_load(self, c, got.tensor, CASE_TENSORS));
    assert_ok(gt_ckpt_load_window(self, c, &got.part, skip));
    assert_memory_equal(got.memory, want.memory, 3 * want.n * sizeof(float));
    assert_memory_equal(skip, got.finished, CASE_MICRO);
    case_check_sums(&got, &got.part);
    int n = 0;
    for (int m = 0; m < CASE_MICRO; m++) n += skip[m];
    case_free(&want);
    case_free(&got);
    gt_ckpt_close(c);
    return n;
}

static void parts_left_alone_are_merged_and_a_missing_one_is_only_missing(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    uint8_t skip[CASE_MICRO];
    leave_alone(dir, 5, 1, (const int[]){1, 4}, 2);
    gt_ckpt *c = NULL;
    assert_ok(gt_ckpt_find(&c, dir)); /* rank 0 was killed: a part without its state is nothing to resume from */
    assert_null(c);
    leave_alone(dir, 5, 0, (const int[]){0, 3}, 2);
    leave_alone(dir, 5, 2, NULL, 0); /* nothing finished: no file */
    assert_int_equal(entries(dir), 3);
    assert_int_equal(load_window(dir, 5, skip), 4);
    assert_true(skip[0] && skip[1] && skip[3] && skip[4]);
    char command[4096];
    snprintf(command, sizeof command, "rm -r %s/window-5.1.*", dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(load_window(dir, 5, skip), 2);
}

static void parts_of_several_lives_never_count_twice(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    uint8_t skip[CASE_MICRO];
    leave_alone(dir, 5, 0, (const int[]){0, 3}, 2);
    leave_alone(dir, 5, 1, (const int[]){1, 4}, 2);
    leave_alone(dir, 5, 0, (const int[]){0, 1, 3, 4, 6}, 5); /* the second life's rank 0 carries the first one's sums */
    leave_alone(dir, 5, 1, (const int[]){5}, 1);
    leave_alone(dir, 5, 3, (const int[]){5, 7}, 2); /* a life with another number of ranks */
    leave_alone(dir, 5, 3, (const int[]){5, 7}, 2); /* saved twice: the same file */
    assert_int_equal(load_window(dir, 5, skip), 7);
    assert_false(skip[2]);
}

static void a_window_saved_again_by_the_same_rank_replaces_its_earlier_part(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    uint8_t skip[CASE_MICRO];
    leave_alone(dir, 5, 0, (const int[]){0, 3}, 2);
    leave_alone(dir, 5, 1, (const int[]){1, 2}, 2);
    leave_alone(dir, 5, 1, (const int[]){1}, 1); /* smaller: an earlier life's larger one stays */
    assert_int_equal(entries(dir), 4);
    leave_alone(dir, 5, 0, (const int[]){0, 3, 7}, 3);
    assert_int_equal(entries(dir), 4);
    assert_int_equal(load_window(dir, 5, skip), 5);
}

static void parts_of_another_run_step_or_cut_are_not_merged(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    uint8_t skip[CASE_MICRO];
    leave_alone(dir, 5, 0, (const int[]){0}, 1);
    leave_alone(dir, 4, 1, (const int[]){1}, 1);
    ckpt_case k;
    case_make(&k, 5, 1);
    case_finish(&k, 2);
    k.memory[3] += 1; /* other adapters */
    assert_ok(gt_ckpt_save_alone(2, dir, &k.s, &k.part));
    k.memory[3] -= 1;
    k.s.seed++;
    assert_ok(gt_ckpt_save_alone(3, dir, &k.s, &k.part));
    k.s.seed--;
    k.part.shift++;
    assert_ok(gt_ckpt_save_alone(4, dir, &k.s, &k.part));
    k.part.shift--;
    k.part.plan = k.s.base;
    assert_ok(gt_ckpt_save_alone(5, dir, &k.s, &k.part));
    k.part.plan = "";
    assert_ok(gt_ckpt_save_alone(6, dir, &k.s, &k.part));
    case_free(&k);
    assert_int_equal(load_window(dir, 5, skip), 1);
    assert_true(skip[0]);
}

static void a_mid_window_checkpoint_holds_its_parts_and_a_later_one_replaces_it(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    uint8_t skip[CASE_MICRO];
    leave_alone(dir, 6, 0, (const int[]){0}, 1);
    ckpt_case k;
    case_make(&k, 6, 1);
    gt_ckpt_policy p = case_policy(dir, 3);
    case_finish(&k, 0);
    case_finish(&k, 7);
    assert_ok(gt_ckpt_save(self, &p, &k.s, &k.part, NULL));
    assert_true(has(dir, "checkpoint-6.2/part-0.h5") && has(dir, "checkpoint-6"));
    assert_int_equal(entries(dir), 2); /* the window is in the checkpoint now */
    assert_int_equal(load_window(dir, 6, skip), 2);
    case_finish(&k, 3);
    assert_ok(gt_ckpt_save(self, &p, &k.s, &k.part, NULL));
    assert_true(has(dir, "checkpoint-6.3") && !has(dir, "checkpoint-6.2") && has(dir, "checkpoint-6"));
    assert_int_equal(load_window(dir, 6, skip), 3);
    save_at(dir, 7, 1);
    assert_int_equal(entries(dir), 1);
    assert_int_equal(load_window(dir, 7, skip), 0);
    case_free(&k);
}

static void saving_again_leaves_an_equal_checkpoint_and_replaces_another(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    save_at(dir, 2, 0);
    char path[2048];
    struct stat before, after;
    snprintf(path, sizeof path, "%s/checkpoint-2", dir);
    assert_int_equal(stat(path, &before), 0);
    save_at(dir, 2, 0);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino);
    ckpt_case k, got;
    case_make(&k, 2, 1);
    k.memory[10] = 0.25f;
    gt_ckpt_policy p = case_policy(dir, 0);
    assert_ok(gt_ckpt_save(self, &p, &k.s, NULL, NULL));
    gt_ckpt *c = NULL;
    assert_ok(gt_ckpt_find(&c, dir));
    assert_ok(case_read(&got, c, 0, 1));
    assert_true(got.memory[10] == 0.25f);
    gt_ckpt_close(c);
    case_free(&got);
    k.s.best_eval_step = 2; /* the same numbers, but something new is known about them */
    assert_ok(gt_ckpt_save(self, &p, &k.s, NULL, NULL));
    assert_ok(gt_ckpt_find(&c, dir));
    assert_int_equal(gt_ckpt_state(c)->best_eval_step, 2);
    gt_ckpt_close(c);
    assert_int_equal(entries(dir), 1);
    case_free(&k);
}

static void leftovers_are_swept_and_strangers_stay(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    save_at(dir, 2, 0);
    char command[4096];
    snprintf(command, sizeof command,
             "cd %s && mkdir checkpoint-3.tmp-99 window-3.0.tmp-7 mine.tmp-4 "
             "checkpoint-3.tmp-9x checkpoint-3-notes.tmp-9 window-3.0.tmp checkpoint-03 checkpoint-x checkpoint-9 && "
             "touch checkpoint-3.tmp-99/state.h5 checkpoint-8",
             dir);
    assert_int_equal(system(command), 0);
    assert_ok(gt_ckpt_sweep(dir));
    assert_false(has(dir, "checkpoint-3.tmp-99") || has(dir, "window-3.0.tmp-7"));
    assert_true(has(dir, "mine.tmp-4") && has(dir, "checkpoint-03") && has(dir, "checkpoint-x"));
    assert_true(has(dir, "checkpoint-3.tmp-9x") && has(dir, "checkpoint-3-notes.tmp-9") && has(dir, "window-3.0.tmp"));
    gt_ckpt *c = NULL;
    assert_ok(gt_ckpt_find(&c, dir)); /* 9 is empty and 8 is no folder: reported, passed over */
    assert_int_equal(gt_ckpt_state(c)->step, 2);
    gt_ckpt_close(c);
}

static void a_missing_output_folder_is_an_error_and_not_a_crash(void **state)
{
    (void)state;
    ckpt_case k;
    case_make(&k, 2, 1);
    gt_ckpt_policy p = case_policy("/nonexistent/folder", 0);
    assert_fails(gt_ckpt_save(self, &p, &k.s, NULL, NULL), GT_ERR_IO, "/nonexistent/folder");
    assert_fails(gt_ckpt_save_alone(0, "/nonexistent/folder", &k.s, NULL), GT_ERR_IO, "/nonexistent/folder");
    gt_ckpt *c = NULL;
    assert_ok(gt_ckpt_find(&c, "/nonexistent/folder"));
    assert_null(c);
    assert_fails(gt_ckpt_open(&c, "/nonexistent/folder"), GT_ERR_DATA, "not a checkpoint");
    case_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_comes_back_bit_for_bit),
        cmocka_unit_test(equal_states_give_equal_files),
        cmocka_unit_test(tensors_are_found_by_name_and_moments_may_be_left_out),
        cmocka_unit_test(other_tensors_are_refused_and_nothing_is_written),
        cmocka_unit_test(what_is_not_finite_is_not_saved),
        cmocka_unit_test(texts_that_are_no_json_are_refused_at_saving),
        cmocka_unit_test(the_newest_is_found_by_step_whatever_the_files_times_say),
        cmocka_unit_test(the_last_k_are_kept_with_the_best_and_the_one_resumed),
        cmocka_unit_test(parts_left_alone_are_merged_and_a_missing_one_is_only_missing),
        cmocka_unit_test(parts_of_several_lives_never_count_twice),
        cmocka_unit_test(a_window_saved_again_by_the_same_rank_replaces_its_earlier_part),
        cmocka_unit_test(parts_of_another_run_step_or_cut_are_not_merged),
        cmocka_unit_test(a_mid_window_checkpoint_holds_its_parts_and_a_later_one_replaces_it),
        cmocka_unit_test(saving_again_leaves_an_equal_checkpoint_and_replaces_another),
        cmocka_unit_test(leftovers_are_swept_and_strangers_stay),
        cmocka_unit_test(a_missing_output_folder_is_an_error_and_not_a_crash),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
