#include "testing.h"

#include "kernel_case.h"

#include "cpu_path.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, GUARD_BYTE = 0xa5, MOST = 4096 };

static struct {
    unsigned char *p;
    size_t bytes;
} held[MOST];
static int held_count;

static gt_exec *execs[64];
static int exec_count;

static size_t size_of(gt_dtype t)
{
    return (size_t)gt_dtype_block_bytes(t);
}

buf buf_new(gt_dtype type, size_t n)
{
    size_t bytes = n * size_of(type);
    if (held_count == MOST) fail_msg("too many buffers");
    unsigned char *p = aligned_alloc(64, (bytes + GUARD + 63) & ~(size_t)63);
    if (!p) fail_msg("no memory for a buffer");
    memset(p, 0, bytes);
    memset(p + bytes, GUARD_BYTE, GUARD);
    held[held_count].p = p;
    held[held_count++].bytes = bytes;
    return (buf){type, n, p};
}

double buf_get(buf b, size_t i)
{
    switch (b.type) {
    case GT_F32:
        return ((float *)b.p)[i];
    case GT_BF16:
        return gt_bf16_to_f32(((uint16_t *)b.p)[i]);
    case GT_F16:
        return gt_f16_to_f32(((uint16_t *)b.p)[i]);
    default:
        return ((double *)b.p)[i];
    }
}

void buf_set(buf b, size_t i, double v)
{
    switch (b.type) {
    case GT_F32:
        ((float *)b.p)[i] = (float)v;
        break;
    case GT_BF16:
        ((uint16_t *)b.p)[i] = gt_f64_to_bf16(v);
        break;
    case GT_F16:
        ((uint16_t *)b.p)[i] = gt_f32_to_f16((float)v);
        break;
    default:
        ((double *)b.p)[i] = v;
        break;
    }
}

buf buf_random(gt_dtype type, size_t n, uint64_t seed, double scale)
{
    buf b = buf_new(type, n);
    for (size_t i = 0; i < n; i++) buf_set(b, i, scale * (2 * gt_rng_uniform(seed, i) - 1));
    return b;
}

buf buf_copy(buf b)
{
    buf c = buf_new(b.type, b.n);
    memcpy(c.p, b.p, b.n * size_of(b.type));
    return c;
}

void buf_free_all(void)
{
    bool broken = false;
    while (held_count > 0) {
        held_count--;
        for (int i = 0; i < GUARD; i++) broken |= held[held_count].p[held[held_count].bytes + (size_t)i] != GUARD_BYTE;
        free(held[held_count].p);
    }
    while (exec_count > 0) {
        gt_exec *x = execs[--exec_count];
        gt_pool_destroy(x->pool);
        free(x->scratch);
        free(x);
    }
    if (broken) fail_msg("a kernel wrote beyond the end of a buffer");
}

void buf_close(buf got, buf want, double relative, double absolute)
{
    assert_int_equal(got.n, want.n);
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < got.n; i++) {
        double excess = fabs(buf_get(got, i) - buf_get(want, i)) - relative * fabs(buf_get(want, i)) - absolute;
        if (!(excess <= worst)) {
            worst = excess;
            at = i;
        }
    }
    if (worst != 0)
        fail_msg("element %zu of %zu is %.9g, expected %.9g (relative %.2g, absolute %.2g allowed)", at, got.n,
                 buf_get(got, at), buf_get(want, at), relative, absolute);
}

void buf_equal(buf got, buf want)
{
    assert_int_equal(got.n, want.n);
    assert_int_equal(got.type, want.type);
    size_t bytes = size_of(got.type);
    for (size_t i = 0; i < got.n; i++)
        if (memcmp((char *)got.p + i * bytes, (char *)want.p + i * bytes, bytes) != 0)
            fail_msg("element %zu of %zu is %.9g, expected %.9g to the bit", i, got.n, buf_get(got, i),
                     buf_get(want, i));
}

gt_exec *exec_new(int threads)
{
    enum { STRIDE = 8 << 20 };
    if (exec_count == 64) fail_msg("too many execs");
    gt_exec *x = calloc(1, sizeof *x);
    if (!x) fail_msg("no memory for an exec");
    execs[exec_count++] = x;
    x->scratch_stride = STRIDE;
    x->scratch = aligned_alloc(64, (size_t)threads * STRIDE);
    if (!x->scratch || gt_pool_create(&x->pool, threads) != GT_OK) fail_msg("no exec of %d threads", threads);
    return x;
}

double ulp_of(gt_dtype type)
{
    return type == GT_BF16 ? 0x1p-7 : type == GT_F32 ? 0x1p-23 : 0x1p-52;
}

const gt_kernels *table_under_test(int i)
{
    static const gt_dtype type[TABLES] = {GT_F32, GT_BF16, GT_F32, GT_BF16, GT_F64};
    const gt_kernels *k = NULL;
    assert_ok(gt_kernels_get(&k, i == 2 || i == 3 ? GT_BACKEND_CPU : GT_BACKEND_REF, type[i]));
    return k;
}

const gt_kernels *fast_table(int i, const gt_kernels **ref)
{
    *ref = table_under_test(i);
    return table_under_test(i + 2);
}

int run_group_on_every_path(const char *name, const struct CMUnitTest *tests, size_t count)
{
    int failed = 0;
    for (int path = (int)gt_cpu_path_current(); path >= 0; path--) {
        gt_cpu_path_lower((gt_cpu_path)path);
        print_message("path %s\n", gt_cpu_path_name((gt_cpu_path)path));
        failed += _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    }
    return failed;
}

double difference_at(buf x, size_t i, double h, double (*loss)(void *), void *context)
{
    double at = buf_get(x, i);
    buf_set(x, i, at + h);
    double above = loss(context);
    buf_set(x, i, at - h);
    double below = loss(context);
    buf_set(x, i, at);
    return (above - below) / (2 * h);
}
