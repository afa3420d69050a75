/* The contract in a program that has no backend: linked with nothing else of kernels/, so that an arrow from the
 * contract up to a filling would not link. */
#include "testing.h"

#include "table.h"

static void a_backend_the_program_lacks_is_refused_by_name(void **state)
{
    (void)state;
    const gt_kernels *k = NULL;
    assert_fails(gt_kernels_get(&k, GT_BACKEND_REF, GT_F32), GT_ERR_CONFIG, "without the backend ref");
    assert_fails(gt_kernels_get(&k, GT_BACKEND_CPU, GT_BF16), GT_ERR_CONFIG, "without the backend cpu");
    assert_fails(gt_kernels_get(&k, GT_BACKEND_AUTO, GT_F32), GT_ERR_CONFIG, "without the backend cpu");
    assert_null(k);
}

static void its_path_has_no_name_and_lowering_it_does_nothing(void **state)
{
    (void)state;
    const char *name = NULL;
    gt_kernels_lower(GT_BACKEND_CPU, 0);
    assert_int_equal(gt_kernels_path(GT_BACKEND_CPU, &name), 0);
    assert_string_equal(name, "?");
}

static const gt_kernels *one_table(gt_dtype act)
{
    static const gt_kernels table = {.name = "one", .path = "only", .act = GT_F32};
    return act == GT_F32 ? &table : NULL;
}

static void what_is_offered_is_found_under_its_id(void **state)
{
    (void)state;
    static const gt_backend_filling one = {.id = GT_BACKEND_CPU, .table = one_table};
    gt_kernels_offer(&one);
    const gt_kernels *k = NULL;
    assert_int_equal(gt_kernels_get(&k, GT_BACKEND_AUTO, GT_F32), GT_OK);
    assert_string_equal(k->name, "one");
    assert_fails(gt_kernels_get(&k, GT_BACKEND_CPU, GT_F64), GT_ERR_CONFIG, "backend cpu");
    assert_fails(gt_kernels_get(&k, GT_BACKEND_REF, GT_F32), GT_ERR_CONFIG, "without the backend ref");
}

int main(void)
{
    const struct CMUnitTest unoffered[] = {
        cmocka_unit_test(a_backend_the_program_lacks_is_refused_by_name),
        cmocka_unit_test(its_path_has_no_name_and_lowering_it_does_nothing),
        cmocka_unit_test(what_is_offered_is_found_under_its_id),
    };
    return cmocka_run_group_tests(unoffered, NULL, NULL);
}
