/* The tables that backends hand in. */
#include "testing.h"

#include "kernel_case.h"

#include "cpu_path.h"

#include <string.h>

typedef void any_function(void);

/* The slots are what follows scratch_bytes: functions only, as table.h says. Fails naming the table and the slot. */
static void expect_every_slot(const gt_kernels *k)
{
    const size_t first = offsetof(gt_kernels, scratch_bytes), bytes = sizeof *k - first;
    assert_int_equal(bytes % sizeof(any_function *), 0);
    for (size_t i = 0; i < bytes / sizeof(any_function *); i++) {
        any_function *slot;
        memcpy(&slot, (const char *)k + first + i * sizeof slot, sizeof slot);
        if (!slot) fail_msg("%s table for %s, path %s: slot %zu is empty", k->name, gt_dtype_name(k->act), k->path, i);
    }
}

static int tables_of(gt_backend backend)
{
    int tables = 0;
    for (int act = GT_F32; act <= GT_Q6_K; act++) {
        const gt_kernels *k = NULL;
        if (gt_kernels_get(&k, backend, (gt_dtype)act) != GT_OK) continue;
        assert_int_equal(k->act, act);
        assert_non_null(k->path);
        expect_every_slot(k);
        tables++;
    }
    return tables;
}

static void every_slot_of_every_table_is_filled(void **state)
{
    (void)state;
    assert_int_equal(tables_of(GT_BACKEND_REF), 3); /* F32, BF16, F64 */
    assert_int_equal(tables_of(GT_BACKEND_CPU), 2); /* F32, BF16, of the path in use */
    assert_int_equal(tables_of(GT_BACKEND_AUTO), 2);
}

static void a_dtype_without_a_table_is_refused_by_name(void **state)
{
    (void)state;
    const gt_kernels *k = NULL;
    assert_fails(gt_kernels_get(&k, GT_BACKEND_CPU, GT_F64), GT_ERR_CONFIG, "backend cpu");
    assert_fails(gt_kernels_get(&k, GT_BACKEND_CPU, GT_F64), GT_ERR_CONFIG, "F64");
    assert_fails(gt_kernels_get(&k, GT_BACKEND_REF, GT_Q4_0), GT_ERR_CONFIG, "backend ref");
    assert_null(k);
}

static void a_path_is_lowered_and_never_raised(void **state)
{
    (void)state;
    const char *name, *lowered;
    const int path = gt_kernels_path(GT_BACKEND_CPU, &name);
    assert_int_equal(path, gt_cpu_path_current());
    assert_string_equal(name, gt_cpu_path_name((gt_cpu_path)path));
    gt_kernels_lower(GT_BACKEND_CPU, path + 1);
    assert_int_equal(gt_kernels_path(GT_BACKEND_CPU, &lowered), path);
    assert_string_equal(lowered, name);
    assert_int_equal(gt_kernels_path(GT_BACKEND_REF, &name), 0); /* one path only */
    assert_string_equal(name, "ref");
    gt_kernels_lower(GT_BACKEND_REF, 0);
    assert_int_equal(gt_kernels_path(GT_BACKEND_REF, &name), 0);
}

int main(void)
{
    const struct CMUnitTest table[] = {
        cmocka_unit_test(every_slot_of_every_table_is_filled),
        cmocka_unit_test(a_dtype_without_a_table_is_refused_by_name),
        cmocka_unit_test(a_path_is_lowered_and_never_raised),
    };
    return run_on_every_path(table);
}
