#include "golden_tensors.h"

#include "testing.h"

#include <stdlib.h>
#include <string.h>

enum { OPEN = 4 };
static gt_safetensors *opened[OPEN];
static unsigned turn;

static void close_all(void)
{
    for (int i = 0; i < OPEN; i++) gt_safetensors_close(opened[i]);
}

const gt_safetensors *golden_file(const char *file)
{
    const char *path = golden(file);
    for (int i = 0; i < OPEN; i++)
        if (opened[i] && strcmp(gt_safetensors_path(opened[i]), path) == 0) return opened[i];
    if (turn == 0) atexit(close_all);
    gt_safetensors **slot = &opened[turn++ % OPEN];
    gt_safetensors_close(*slot);
    *slot = NULL;
    assert_ok(gt_safetensors_open(slot, path));
    return *slot;
}

const gt_safetensor *golden_tensor(const char *file, const char *name)
{
    const gt_safetensor *t = gt_safetensors_find(golden_file(file), name);
    if (!t) fail_msg("%s has no tensor %s", file, name);
    return t;
}

static double element(const gt_safetensor *t, size_t i)
{
    const uint8_t *p = (const uint8_t *)t->data + i * (size_t)gt_dtype_block_bytes(t->dtype);
    uint16_t h;
    float f;
    double d;
    int32_t n;
    int64_t l;
    switch (t->dtype) {
    case GT_F32:
        memcpy(&f, p, 4);
        return f;
    case GT_F64:
        memcpy(&d, p, 8);
        return d;
    case GT_F16:
        memcpy(&h, p, 2);
        return gt_f16_to_f32(h);
    case GT_BF16:
        memcpy(&h, p, 2);
        return gt_bf16_to_f32(h);
    case GT_I32:
        memcpy(&n, p, 4);
        return n;
    case GT_I64:
        memcpy(&l, p, 8);
        return (double)l;
    case GT_U8:
        return *p;
    default:
        break;
    }
    fail_msg("tensor %s: dtype %s is not read here", t->name, t->dtype_name);
    return 0;
}

float *golden_f32(const char *file, const char *name, size_t *n)
{
    const gt_safetensor *t = golden_tensor(file, name);
    if (t->dtype == GT_F64) fail_msg("%s: %s is F64 and would be rounded", file, name);
    float *x = malloc((t->elements + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < t->elements; i++) x[i] = (float)element(t, i);
    if (n) *n = t->elements;
    return x;
}

double *golden_f64(const char *file, const char *name, size_t *n)
{
    const gt_safetensor *t = golden_tensor(file, name);
    double *x = malloc((t->elements + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < t->elements; i++) x[i] = element(t, i);
    if (n) *n = t->elements;
    return x;
}

int32_t *golden_i32(const char *file, const char *name, size_t *n)
{
    const gt_safetensor *t = golden_tensor(file, name);
    int32_t *x = malloc((t->elements + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < t->elements; i++) {
        const double v = element(t, i);
        x[i] = (int32_t)v;
        if ((double)x[i] != v) fail_msg("%s: %s[%zu] = %g is no int32", file, name, i, v);
    }
    if (n) *n = t->elements;
    return x;
}
