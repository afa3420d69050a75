/* A run's folder: cleaned of a killed run's temporaries and of nothing else; gone again when the run never began; and
 * the marker of a finished run. */
#include "run_folder.h"

#include "fs.h"
#include "run_lock.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void run(const char *folder, const char *command)
{
    char line[4096];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    assert_int_equal(system(line), 0);
}

static bool has(const char *folder, const char *name)
{
    return gt_fs_exists(path_in(folder, name));
}

static void what_a_killed_run_left_goes_and_strangers_stay(void **state)
{
    (void)state;
    static const char *const left[] = {"final.tmp.12",         "best.tmp.7",         "done.json.tmp.1",
                                       "metrics.jsonl.tmp.99", "checkpoint-3.tmp-9", "window-3.0.tmp-9"};
    static const char *const strangers[] = {"merged.tmp.12",  "final.tmp.", "final.tmp.x1", "final.tmp.1x",
                                            "my-final.tmp.1", "final.tmp",  "notes.tmp-4"};
    const char *dir = temp_dir();
    run(dir,
        "mkdir final.tmp.12 best.tmp.7 checkpoint-3.tmp-9 window-3.0.tmp-9 merged.tmp.12 notes.tmp-4 && "
        "touch final.tmp.12/adapter_model.safetensors done.json.tmp.1 metrics.jsonl.tmp.99 final.tmp. final.tmp.x1 "
        "final.tmp.1x my-final.tmp.1 final.tmp");
    gt_run_folder *f = NULL;
    assert_ok(gt_run_folder_take(&f, dir));
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        if (has(dir, left[i])) fail_msg("%s is still there", left[i]);
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (!has(dir, strangers[i])) fail_msg("%s is gone", strangers[i]);
    gt_run_folder_leave(f);
}

static void a_folder_in_work_is_not_cleaned(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    gt_run_folder *one = NULL, *two = NULL;
    assert_ok(gt_run_folder_take(&one, dir));
    run(dir, "mkdir final.tmp.12");
    assert_fails(gt_run_folder_take(&two, dir), GT_ERR_CONFIG, "another run");
    assert_true(has(dir, "final.tmp.12"));
    gt_run_folder_leave(one);
}

static void a_folder_made_for_nothing_goes_again(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    gt_run_folder *f = NULL;
    static const char *const paths[] = {"a", "a/b/c", "a//b/"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_ok(gt_run_folder_take(&f, path_in(dir, paths[i])));
        assert_true(has(dir, "a"));
        gt_run_folder_leave(f);
        assert_false(has(dir, "a"));
    }
    assert_true(gt_fs_is_dir(dir));
}

static void what_was_there_or_came_in_stays(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    gt_run_folder *f = NULL;
    run(dir, "mkdir empty");
    assert_ok(gt_run_folder_take(&f, path_in(dir, "empty")));
    gt_run_folder_leave(f);
    assert_true(has(dir, "empty"));
    assert_ok(gt_run_folder_take(&f, path_in(dir, "a/b")));
    run(dir, "touch a/b/metrics.jsonl");
    gt_run_folder_leave(f);
    assert_true(has(dir, "a/b/metrics.jsonl") && has(dir, "a/b/run.lock"));
    assert_ok(gt_run_folder_take(&f, path_in(dir, "x/y")));
    run(dir, "touch x/beside");
    gt_run_folder_leave(f);
    assert_true(has(dir, "x/beside"));
    assert_false(has(dir, "x/y"));
    gt_run_folder_leave(NULL);
}

/* Its last holder discarded the file: whoever takes the lock next holds a file that has the name. */
static void a_discarded_lock_is_taken_anew(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    gt_run_lock *one = NULL, *two = NULL;
    assert_ok(gt_run_lock_take(&one, dir));
    gt_run_lock_discard(one);
    assert_false(has(dir, "run.lock"));
    assert_ok(gt_run_lock_take(&one, dir));
    assert_fails(gt_run_lock_take(&two, dir), GT_ERR_CONFIG, "another run");
    gt_run_lock_release(one);
}

static void the_done_marker_says_how_far_and_can_be_cleared(void **state)
{
    (void)state;
    const char *dir = temp_dir();
    int64_t steps = 5;
    assert_ok(gt_run_done_read(dir, &steps));
    assert_int_equal(steps, -1);
    assert_ok(gt_run_done_clear(dir));
    assert_ok(gt_run_done_write(dir, 1234567890123));
    assert_ok(gt_run_done_read(dir, &steps));
    assert_int_equal(steps, 1234567890123);
    assert_ok(gt_run_done_clear(dir));
    assert_ok(gt_run_done_read(dir, &steps));
    assert_int_equal(steps, -1);
    static const char *const bad[] = {"",
                                      "{}",
                                      "{\"done\": false, \"steps\": 1}",
                                      "{\"done\": true, \"steps\": -1}",
                                      "{\"done\": true, \"steps\": 1.5}",
                                      "[true]",
                                      "{\"done\": true, \"steps\": 1}x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_ok(gt_fs_write(path_in(dir, "done.json"), bad[i], strlen(bad[i])));
        assert_fails(gt_run_done_read(dir, &steps), GT_ERR_DATA, "done.json");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_killed_run_left_goes_and_strangers_stay),
        cmocka_unit_test(a_folder_in_work_is_not_cleaned),
        cmocka_unit_test(a_folder_made_for_nothing_goes_again),
        cmocka_unit_test(what_was_there_or_came_in_stays),
        cmocka_unit_test(a_discarded_lock_is_taken_anew),
        cmocka_unit_test(the_done_marker_says_how_far_and_can_be_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
