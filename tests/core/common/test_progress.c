/* The words of a progress line; what is drawn when is a matter of the terminal. */
#include "progress.h"
#include "testing.h"

#include <string.h>

static void a_line_says_how_far_how_fast_and_how_long(void **state)
{
    (void)state;
    char text[256];
    gt_progress p;
    gt_progress_begin(&p, "scoring", 270, "rows");
    gt_progress_text(text, sizeof text, &p, 112, 4);
    assert_string_equal(text, "scoring  41 %  112 / 270 rows  28 rows/s  6 s left");
    gt_progress_text(text, sizeof text, &p, 270, 4);
    assert_string_equal(text, "scoring  100 %  270 / 270 rows  67.5 rows/s  0 s left");
    gt_progress_text(text, sizeof text, &p, 0, 4); /* no rate to guess from */
    assert_string_equal(text, "scoring  0 %  0 / 270 rows  0 rows/s");
    gt_progress_end(&p); /* nothing was drawn, nothing ends */
}

static void a_line_that_does_not_fit_is_cut(void **state)
{
    (void)state;
    char text[16];
    gt_progress p;
    memset(text, 'x', sizeof text);
    gt_progress_begin(&p, "scoring", 270, "rows");
    gt_progress_text(text, sizeof text, &p, 112, 4);
    assert_string_equal(text, "scoring  41 %  ");
}

static void durations_are_said_in_the_unit_that_fits(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{-1, "0 s"},        {12, "12 s"},         {99, "99 s"},
                 {190, "3 min"},     {7500, "2 h 05 min"}, {356000, "98 h 53 min"},
                 {864000, "10 days"}};
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gt_duration_text(text, cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_how_far_how_fast_and_how_long),
        cmocka_unit_test(a_line_that_does_not_fit_is_cut),
        cmocka_unit_test(durations_are_said_in_the_unit_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
