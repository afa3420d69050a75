#include "golden_tensor.h"

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

golden_file golden_open(const char *path)
{
    golden_file f = {0};
    FILE *in = fopen(path, "rb");
    if (!in) fail_msg("%s cannot be opened", path);
    fseek(in, 0, SEEK_END);
    f.size = (size_t)ftell(in);
    rewind(in);
    f.bytes = malloc(f.size + 1);
    if (!f.bytes || fread(f.bytes, 1, f.size, in) != f.size) fail_msg("%s cannot be read", path);
    fclose(in);
    uint64_t header;
    memcpy(&header, f.bytes, 8);
    f.header = (size_t)header;
    return f;
}

void golden_close(golden_file *f)
{
    free(f->bytes);
    f->bytes = NULL;
}

/* The text behind `"name":`, or NULL. */
static const char *entry(const golden_file *f, const char *name)
{
    char key[256];
    const int length = snprintf(key, sizeof key, "\"%s\":", name);
    return memmem(f->bytes + 8, f->header, key, (size_t)length);
}

int golden_has(const golden_file *f, const char *name)
{
    return entry(f, name) != NULL;
}

golden_tensor golden_get(const golden_file *f, const char *name)
{
    golden_tensor t = {0};
    const char *at = entry(f, name);
    if (!at) fail_msg("no golden tensor '%s'", name);
    const char *dtype = strstr(at, "\"dtype\":\""), *shape = strstr(at, "\"shape\":["),
               *offsets = strstr(at, "\"data_offsets\":[");
    if (!dtype || !shape || !offsets) fail_msg("golden tensor '%s': header not understood", name);
    sscanf(dtype + 9, "%7[A-Z0-9_]", t.dtype);
    char *p = (char *)shape + 9;
    while (*p != ']' && t.dims < 4) {
        t.shape[t.dims++] = strtoul(p, &p, 10);
        if (*p == ',') p++;
    }
    const size_t begin = strtoul(offsets + 16, &p, 10), end = strtoul(p + 1, NULL, 10);
    t.data = f->bytes + 8 + f->header + begin;
    t.bytes = end - begin;
    return t;
}
