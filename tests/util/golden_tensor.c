#include "golden_tensor.h"

#include "testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

golden_file golden_open(const char *path)
{
    struct stat s;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &s) != 0) fail_msg("%s cannot be opened", path);
    golden_file f = {.size = (size_t)s.st_size};
    f.bytes = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (f.bytes == MAP_FAILED) fail_msg("%s cannot be mapped", path);
    uint64_t header;
    memcpy(&header, f.bytes, 8);
    f.header = (size_t)header;
    return f;
}

void golden_close(golden_file *f)
{
    if (f->bytes) munmap((void *)(uintptr_t)f->bytes, f->size);
    *f = (golden_file){0};
}

static gt_dtype dtype_named(const char *name)
{
    static const struct {
        const char *name;
        gt_dtype dtype;
    } known[] = {{"F32", GT_F32}, {"F16", GT_F16}, {"BF16", GT_BF16}, {"F64", GT_F64},
                 {"I32", GT_I32}, {"I64", GT_I64}, {"U8", GT_U8}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) return known[i].dtype;
    fail_msg("golden dtype '%s' is not read here", name);
    return GT_F32;
}

golden_tensor golden_get(const golden_file *f, const char *name)
{
    char key[256], dtype[8] = "";
    golden_tensor t = {.elements = 1};
    const int length = snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = memmem(f->bytes + 8, f->header, key, (size_t)length);
    if (!at) fail_msg("no golden tensor '%s'", name);
    const char *type = strstr(at, "\"dtype\":\""), *shape = strstr(at, "\"shape\":["),
               *offsets = strstr(at, "\"data_offsets\":[");
    if (!type || !shape || !offsets) fail_msg("golden tensor '%s': header not understood", name);
    sscanf(type + 9, "%7[A-Z0-9_]", dtype);
    t.dtype = dtype_named(dtype);
    char *p = (char *)(uintptr_t)shape + 9;
    while (*p != ']' && t.rank < 4) {
        t.shape[t.rank] = strtoul(p, &p, 10);
        t.elements *= t.shape[t.rank++];
        if (*p == ',') p++;
    }
    const size_t begin = strtoul(offsets + 16, &p, 10), end = strtoul(p + 1, NULL, 10);
    t.data = f->bytes + 8 + f->header + begin;
    t.bytes = end - begin;
    return t;
}

/* The files in use, the oldest going when one more comes. */
enum { OPEN = 4 };
static struct {
    char path[1024];
    golden_file file;
} opened[OPEN];
static unsigned turn;

golden_tensor golden_find(const char *file, const char *name)
{
    const char *path = golden(file);
    int i = 0;
    while (i < OPEN && !(opened[i].file.bytes && strcmp(opened[i].path, path) == 0)) i++;
    if (i == OPEN) {
        i = (int)(turn++ % OPEN);
        golden_close(&opened[i].file);
        opened[i].file = golden_open(path);
        snprintf(opened[i].path, sizeof opened[i].path, "%s", path);
    }
    return golden_get(&opened[i].file, name);
}

static double element(const golden_tensor *t, size_t i)
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
    default: /* U8: dtype_named gives no other */
        return *p;
    }
}

/* The tensor and room for its elements. */
static void *begin(golden_tensor *t, size_t *n, const char *file, const char *name, size_t size)
{
    *t = golden_find(file, name);
    void *x = malloc((t->elements + 1) * size);
    assert_non_null(x);
    if (n) *n = t->elements;
    return x;
}

float *golden_f32(const char *file, const char *name, size_t *n)
{
    golden_tensor t;
    float *x = begin(&t, n, file, name, sizeof *x);
    if (t.dtype == GT_F64) fail_msg("%s: %s is F64 and would be rounded", file, name);
    for (size_t i = 0; i < t.elements; i++) x[i] = (float)element(&t, i);
    return x;
}

double *golden_f64(const char *file, const char *name, size_t *n)
{
    golden_tensor t;
    double *x = begin(&t, n, file, name, sizeof *x);
    for (size_t i = 0; i < t.elements; i++) x[i] = element(&t, i);
    return x;
}

int32_t *golden_i32(const char *file, const char *name, size_t *n)
{
    golden_tensor t;
    int32_t *x = begin(&t, n, file, name, sizeof *x);
    for (size_t i = 0; i < t.elements; i++) {
        const double v = element(&t, i);
        x[i] = (int32_t)v;
        if ((double)x[i] != v) fail_msg("%s: %s[%zu] = %g is no int32", file, name, i, v);
    }
    return x;
}
