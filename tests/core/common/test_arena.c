/* Carving by measure: the same pushes over a measuring arena and a real one agree, and what does not fit or overflows
 * is a failure that is remembered, never a small block. */
#include "testing.h"

#include "arena.h"

#include <string.h>

typedef struct {
    float *x;
    int32_t *ids;
    uint8_t *codes;
} pieces;

static void carve(gt_arena *a, size_t rows, pieces *out)
{
    out->x = gt_arena_push(a, rows * 3, sizeof *out->x, "acts.x");
    out->ids = gt_arena_push(a, rows, sizeof *out->ids, "acts.ids");
    out->codes = gt_arena_push(a, 1, 1, "acts.x");
}

static void measuring_and_carving_agree(void **state)
{
    (void)state;
    gt_arena plan, real;
    pieces p;
    gt_arena_measure(&plan);
    carve(&plan, 5, &p);
    assert_null(p.x);
    assert_ok(gt_arena_status(&plan));
    assert_int_equal(plan.used, 64 + 64 + 64); /* 60, 20 and 1 bytes, each rounded up to 64 */
    assert_ok(gt_arena_create(&real, plan.used));
    carve(&real, 5, &p);
    assert_ok(gt_arena_status(&real));
    assert_int_equal(real.used, plan.used);
    assert_int_equal((uintptr_t)p.x % 64, 0);
    assert_int_equal((uintptr_t)p.ids % 64, 0);
    for (int i = 0; i < 15; i++) assert_true(p.x[i] == 0.0f);
    memset(p.x, 1, 60);
    memset(p.ids, 1, 20);
    *p.codes = 1;
    gt_arena_free(&real);
    gt_arena_free(&real);
    gt_arena_free(NULL);
}

static void pieces_of_one_name_are_added_up(void **state)
{
    (void)state;
    gt_arena a;
    pieces p;
    gt_arena_measure(&a);
    carve(&a, 5, &p);
    assert_int_equal(a.entry_count, 2);
    assert_string_equal(a.entry[0].name, "acts.x");
    assert_int_equal(a.entry[0].pieces, 2);
    assert_int_equal(a.entry[0].bytes, 128);
    assert_int_equal(a.entry[1].bytes, 64);
}

static void a_push_that_does_not_fit_is_remembered(void **state)
{
    (void)state;
    gt_arena a;
    assert_ok(gt_arena_create(&a, 128));
    assert_non_null(gt_arena_push(&a, 1, 64, "one"));
    assert_null(gt_arena_push(&a, 1, 65, "two"));
    assert_non_null(gt_arena_push(&a, 1, 64, "three"));
    assert_fails(gt_arena_status(&a), GT_ERR_INTERNAL, "128 bytes");
    gt_arena_free(&a);
}

static void sizes_that_overflow_are_failures_not_small_blocks(void **state)
{
    (void)state;
    static const size_t pair[][2] = {{SIZE_MAX, 2}, {SIZE_MAX / 2 + 1, 2}, {SIZE_MAX, 1}, {SIZE_MAX - 63, 1}};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        gt_arena a;
        gt_arena_measure(&a);
        gt_arena_push(&a, 1, 64, "before");
        gt_arena_push(&a, pair[i][0], pair[i][1], "huge");
        assert_fails(gt_arena_status(&a), GT_ERR_INTERNAL, "too small");
    }
}

static void an_empty_piece_and_an_empty_arena_are_fine(void **state)
{
    (void)state;
    gt_arena a;
    assert_ok(gt_arena_create(&a, 0));
    gt_arena_push(&a, 0, 8, "none");
    assert_ok(gt_arena_status(&a));
    gt_arena_free(&a);
}

static void a_cursor_measures_what_it_carves(void **state)
{
    (void)state;
    static const size_t count[] = {3, 0, 64, 65}, at[] = {0, 64, 64, 576};
    _Alignas(64) static char memory[1152];
    gt_cursor measure = {0}, real = gt_cursor_over(memory);
    for (int i = 0; i < 4; i++) {
        assert_null(gt_cursor_take(&measure, count[i], 8));
        assert_ptr_equal(gt_cursor_take(&real, count[i], 8), memory + at[i]);
    }
    assert_int_equal(measure.used, sizeof memory);
    assert_int_equal(real.used, measure.used);
}

typedef struct {
    pieces p;
    int calls;
    bool grows; /* the second carving asks for more than the first */
} building;

static void carve_building(void *context, gt_arena *a)
{
    building *b = context;
    carve(a, b->grows && b->calls ? 200 : 100, &b->p);
    b->calls++;
}

static void building_measures_and_carves(void **state)
{
    (void)state;
    gt_arena a;
    building b = {0};
    assert_ok(gt_arena_build(&a, carve_building, &b));
    assert_int_equal(b.calls, 2);
    assert_non_null(a.memory);
    assert_int_equal(a.used, a.capacity);
    gt_arena_free(&a);
    building unlike = {.grows = true};
    assert_fails(gt_arena_build(&a, carve_building, &unlike), GT_ERR_INTERNAL, "plan and use disagree");
    assert_null(a.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measuring_and_carving_agree),
        cmocka_unit_test(pieces_of_one_name_are_added_up),
        cmocka_unit_test(a_push_that_does_not_fit_is_remembered),
        cmocka_unit_test(sizes_that_overflow_are_failures_not_small_blocks),
        cmocka_unit_test(an_empty_piece_and_an_empty_arena_are_fine),
        cmocka_unit_test(a_cursor_measures_what_it_carves),
        cmocka_unit_test(building_measures_and_carves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
