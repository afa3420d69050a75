/* Choosing and lowering the instruction-set path. */
#include "testing.h"

#include "cpu_path.h"
#include "table_cpu.h"

#include <stdlib.h>
#include <string.h>

static void names_and_paths_correspond(void **state)
{
    (void)state;
    for (int i = 0; i <= GT_PATH_AMX; i++) {
        gt_cpu_path back;
        assert_ok(gt_cpu_path_parse(&back, gt_cpu_path_name((gt_cpu_path)i)));
        assert_int_equal(back, i);
    }
    gt_cpu_path path = GT_PATH_AVX2;
    assert_fails(gt_cpu_path_parse(&path, "sse9"), GT_ERR_CONFIG, "sse9");
    assert_int_equal(path, GT_PATH_AVX2);
    assert_string_equal(gt_cpu_path_name((gt_cpu_path)99), "?");
}

static void the_environment_and_ranks_lower_the_path_and_nothing_raises_it(void **state)
{
    (void)state;
    gt_cpu_path first = gt_cpu_path_current(); /* main asked for avx2 at most */
    assert_true(first <= GT_PATH_AVX2);
    gt_cpu_path_lower(GT_PATH_AMX);
    assert_int_equal(gt_cpu_path_current(), first);
    gt_cpu_path_lower(GT_PATH_PLAIN);
    assert_int_equal(gt_cpu_path_current(), GT_PATH_PLAIN);
    gt_cpu_path_lower(GT_PATH_AVX2);
    assert_int_equal(gt_cpu_path_current(), GT_PATH_PLAIN);
    assert_string_equal(gt_backend_cpu.table(GT_F32)->path, "plain C");
    assert_non_null(strstr(gt_backend_cpu.table(GT_BF16)->path, "by float32"));
    assert_null(gt_backend_cpu.table(GT_F64));
}

int main(void)
{
    setenv("GT_CPU_PATH", "avx2", 1);
    const struct CMUnitTest cpu_path[] = {
        cmocka_unit_test(names_and_paths_correspond),
        cmocka_unit_test(the_environment_and_ranks_lower_the_path_and_nothing_raises_it),
    };
    return cmocka_run_group_tests(cpu_path, NULL, NULL);
}
