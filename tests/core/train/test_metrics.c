/* test_metrics.c - metrics.jsonl, its truncation at a resume, event files, the progress line. */
#include "testing.h"

#include "fs.h"
#include "memory_use.h"
#include "metrics.h"
#include "tfevents.h"
#include "train_line.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_text(const char *folder)
{
    char path[1100], *text;
    size_t size;
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    assert_ok(gt_fs_read(&text, &size, path, 1 << 20));
    return text;
}

static void append_text(const char *folder, const char *text)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    FILE *f = fopen(path, "a");
    fputs(text, f);
    fclose(f);
}

static void write_steps(const char *folder, int64_t resumed, int first, int last)
{
    gt_metrics *m;
    assert_ok(gt_metrics_open(&m, folder, resumed, false));
    for (int s = first; s <= last; s++) {
        gt_metric values[] = {{"loss", 2.5 / s}, {"num_tokens", 1000.0 * s}};
        assert_ok(gt_metrics_write(m, s, 0.5 * s, values, 2));
    }
    gt_metrics_close(m);
}

static void lines_are_json_with_the_trainers_names(void **state)
{
    (void)state;
    const char *folder = temp_dir();
    gt_metrics *m;
    assert_ok(gt_metrics_open(&m, folder, -1, false));
    gt_metric values[] = {{"loss", 2.5}, {"grad_norm", NAN}, {"learning_rate", 2e-5}, {"num_tokens", 123456789}};
    assert_ok(gt_metrics_write(m, 10, 0.25, values, 4));
    gt_metrics_close(m);
    char *text = read_text(folder);
    assert_string_equal(text, "{\"step\":10,\"epoch\":0.25,\"loss\":2.5,\"grad_norm\":null,\"learning_rate\":2e-05,"
                              "\"num_tokens\":123456789}\n");
    free(text);
}

static void a_resume_drops_what_will_be_made_again(void **state)
{
    (void)state;
    const char *folder = temp_dir();
    write_steps(folder, -1, 1, 5);
    append_text(folder, "{\"step\": 6, \"epo"); /* a crash in the middle of a line */
    write_steps(folder, 3, 4, 5);
    char *again = read_text(folder);
    const char *whole = temp_dir();
    write_steps(whole, -1, 1, 5);
    char *once = read_text(whole);
    assert_string_equal(again, once);
    free(again), free(once);
    write_steps(folder, -1, 1, 0);
    again = read_text(folder);
    assert_string_equal(again, "");
    free(again);
}

static void a_torn_or_foreign_line_does_not_stop_a_resume(void **state)
{
    (void)state;
    const char *folder = temp_dir();
    append_text(folder, "not json\n\n{\"step\": \"1\"}\n{\"step\": 1, \"epoch\": 1}\n[]\n{\"step\": 2}");
    write_steps(folder, 5, 3, 2);
    char *text = read_text(folder);
    assert_string_equal(text, "{\"step\": 1, \"epoch\": 1}\n");
    free(text);
}

static void a_record_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    gt_metrics *m;
    assert_fails(gt_metrics_open(&m, "/nonexistent/folder", -1, false), GT_ERR_IO, "/nonexistent/folder");
    assert_fails(gt_metrics_open(&m, "/proc", -1, true), GT_ERR_IO, "/proc");
}

static void crc32c_has_its_known_values(void **state)
{
    (void)state;
    uint8_t zero[32] = {0}, count[32];
    for (int i = 0; i < 32; i++) count[i] = (uint8_t)i;
    assert_int_equal(gt_crc32c("123456789", 9), 0xe3069283u); /* RFC 3720, appendix B.4, and the usual check value */
    assert_int_equal(gt_crc32c(zero, 32), 0x8a9136aau);
    assert_int_equal(gt_crc32c(count, 32), 0x46dd794eu);
}

static void the_progress_line_says_what_it_knows(void **state)
{
    (void)state;
    char text[256];
    gt_train_line l = {.step = 3,
                       .steps = 20,
                       .micro = 5,
                       .micros = 8,
                       .loss = 2.3141,
                       .learning_rate = 1.8e-4,
                       .grad_norm = 0.83,
                       .tokens_per_second = 612,
                       .flops_per_second = 0.41e12,
                       .seconds_left = 190,
                       .memory = 987842478};
    gt_train_line_text(text, sizeof text, &l);
    assert_string_equal(
        text, "step 3/20  micro 5/8  loss 2.314  lr 0.00018  grad 0.83  612 tokens/s  0.41 TFLOP/s  0.92 GiB  "
              "3 min left");
    l = (gt_train_line){.step = 0,
                        .steps = 20,
                        .micro = 1,
                        .micros = 8,
                        .loss = NAN,
                        .learning_rate = NAN,
                        .grad_norm = NAN,
                        .seconds_left = -1};
    gt_train_line_text(text, sizeof text, &l);
    assert_string_equal(text, "step 0/20  micro 1/8");
}

static void this_process_uses_memory(void **state)
{
    (void)state;
    gt_memory_use use = gt_memory_use_now();
    assert_true(use.rss > 100000 && use.rss < (size_t)1 << 40);
    assert_true(use.pss <= use.rss + (1 << 20));
}

/* The other half of test_tfevents.py: writes the events that it decodes. */
static void write_known_events(const char *folder)
{
    gt_metrics *m;
    gt_metric train[] = {{"loss", 2.5}, {"learning_rate", 2e-5}}, eval[] = {{"eval_loss", 1.75}};
    assert_ok(gt_metrics_open(&m, folder, -1, true));
    assert_ok(gt_metrics_write(m, 1, 0.5, train, 2));
    assert_ok(gt_metrics_write(m, 300, 1.5, eval, 1));
    gt_metrics_close(m);
    assert_ok(gt_metrics_open(&m, folder, 1, true));
    gt_metrics_close(m);
}

static void event_files_are_written_beside_the_lines(void **state)
{
    (void)state;
    char path[1100];
    const char *folder = temp_dir();
    write_known_events(folder);
    snprintf(path, sizeof path, "%s/runs", folder);
    assert_true(gt_fs_is_dir(path));
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        write_known_events(argv[1]);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_json_with_the_trainers_names),
        cmocka_unit_test(a_resume_drops_what_will_be_made_again),
        cmocka_unit_test(a_torn_or_foreign_line_does_not_stop_a_resume),
        cmocka_unit_test(a_record_that_cannot_be_written_is_an_error),
        cmocka_unit_test(crc32c_has_its_known_values),
        cmocka_unit_test(the_progress_line_says_what_it_knows),
        cmocka_unit_test(this_process_uses_memory),
        cmocka_unit_test(event_files_are_written_beside_the_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
