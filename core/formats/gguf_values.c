/* Metadata of a GGUF file, kept as bytes in the map: every pair is stepped over and checked once when the file is
 * opened, arrays in arrays included, and decoded when it is asked for. A number may be of any type that holds it. */
#include "gguf_private.h"

#include "checked.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEY = 65535, MAX_DEPTH = 8 };

static const struct {
    const char *name;
    int size;
} types[GT_GGUF_TYPE_COUNT] = {
    [GT_GGUF_U8] = {"u8", 1},       [GT_GGUF_I8] = {"i8", 1},     [GT_GGUF_U16] = {"u16", 2},
    [GT_GGUF_I16] = {"i16", 2},     [GT_GGUF_U32] = {"u32", 4},   [GT_GGUF_I32] = {"i32", 4},
    [GT_GGUF_F32] = {"f32", 4},     [GT_GGUF_BOOL] = {"bool", 1}, [GT_GGUF_STRING] = {"string", 0},
    [GT_GGUF_ARRAY] = {"array", 0}, [GT_GGUF_U64] = {"u64", 8},   [GT_GGUF_I64] = {"i64", 8},
    [GT_GGUF_F64] = {"f64", 8},
};

static const char *type_name(uint32_t t)
{
    return t < GT_GGUF_TYPE_COUNT ? types[t].name : "?";
}

/* Bytes; 0 for strings, arrays and what is no type. */
static int scalar_size(gt_gguf_type t)
{
    return (unsigned)t < GT_GGUF_TYPE_COUNT ? types[t].size : 0;
}

uint64_t gt_gguf_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static gt_status cut_short(const gt_gguf_cursor *c, const char *what)
{
    return GT_FAIL(GT_ERR_DATA, "%s: the file ends inside %s: cut short?", c->where, what);
}

gt_status gt_gguf_read_u32(gt_gguf_cursor *c, uint32_t *out, const char *what)
{
    if (c->end - c->at < 4) return cut_short(c, what);
    *out = (uint32_t)gt_gguf_le(c->at, 4);
    c->at += 4;
    return GT_OK;
}

gt_status gt_gguf_read_u64(gt_gguf_cursor *c, uint64_t *out, const char *what)
{
    if (c->end - c->at < 8) return cut_short(c, what);
    *out = gt_gguf_le(c->at, 8);
    c->at += 8;
    return GT_OK;
}

static gt_status skip_string(gt_gguf_cursor *c, const char *what)
{
    uint64_t n = 0;
    GT_TRY(gt_gguf_read_u64(c, &n, what));
    if (n > (uint64_t)(c->end - c->at))
        return GT_FAIL(GT_ERR_DATA, "%s: %s: a string of %" PRIu64 " bytes, %zu are left in the file", c->where, what,
                       n, (size_t)(c->end - c->at));
    c->at += n;
    return GT_OK;
}

static gt_status skip_scalars(gt_gguf_cursor *c, gt_gguf_type t, uint64_t count, const char *what)
{
    size_t bytes;
    if (!gt_mul_size((size_t)count, (size_t)types[t].size, &bytes) || bytes > (size_t)(c->end - c->at))
        return GT_FAIL(GT_ERR_DATA, "%s: %s: %" PRIu64 " values of type %s, %zu bytes are left in the file", c->where,
                       what, count, types[t].name, (size_t)(c->end - c->at));
    if (t == GT_GGUF_BOOL)
        for (size_t i = 0; i < bytes; i++)
            if (c->at[i] > 1)
                return GT_FAIL(GT_ERR_DATA, "%s: %s: a bool of value %d, expected 0 or 1", c->where, what, c->at[i]);
    c->at += bytes;
    return GT_OK;
}

/* Steps over a value of type t, checking it. what: the key, for messages. */
static gt_status skip_value(gt_gguf_cursor *c, gt_gguf_type t, const char *what, int depth)
{
    if (t == GT_GGUF_STRING) return skip_string(c, what);
    if (t != GT_GGUF_ARRAY) return skip_scalars(c, t, 1, what);
    uint32_t inner = 0;
    uint64_t count = 0;
    GT_TRY(gt_gguf_read_u32(c, &inner, what));
    GT_TRY(gt_gguf_read_u64(c, &count, what));
    if (inner >= GT_GGUF_TYPE_COUNT)
        return GT_FAIL(GT_ERR_DATA, "%s: %s: array of type %u, which GGUF does not define", c->where, what, inner);
    if (types[inner].size > 0) return skip_scalars(c, (gt_gguf_type)inner, count, what);
    if (depth >= MAX_DEPTH)
        return GT_FAIL(GT_ERR_DATA, "%s: %s: arrays nested deeper than %d", c->where, what, MAX_DEPTH);
    for (uint64_t i = 0; i < count; i++) GT_TRY(skip_value(c, (gt_gguf_type)inner, what, depth + 1));
    return GT_OK;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const gt_gguf_pair *)a)->key, ((const gt_gguf_pair *)b)->key);
}

static gt_status read_pair(gt_gguf_cursor *c, gt_gguf_pair *p, size_t number)
{
    uint64_t n = 0;
    uint32_t type = 0;
    GT_TRY(gt_gguf_read_u64(c, &n, "the metadata"));
    if (n == 0 || n > MAX_KEY || n > (uint64_t)(c->end - c->at))
        return GT_FAIL(GT_ERR_DATA, "%s: metadata key %zu has %" PRIu64 " bytes, expected 1 to %d inside the file",
                       c->where, number, n, MAX_KEY);
    for (uint64_t i = 0; i < n; i++)
        if (c->at[i] < 0x20 || c->at[i] > 0x7e)
            return GT_FAIL(GT_ERR_DATA, "%s: metadata key %zu is not printable ASCII", c->where, number);
    p->key = strndup((const char *)c->at, (size_t)n);
    if (!p->key) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a key", c->where);
    c->at += n;
    GT_TRY(gt_gguf_read_u32(c, &type, p->key));
    if (type >= GT_GGUF_TYPE_COUNT)
        return GT_FAIL(GT_ERR_DATA, "%s: key '%.200s' has type %u, which GGUF does not define", c->where, p->key, type);
    p->type = (gt_gguf_type)type;
    p->value = c->at;
    return skip_value(c, p->type, p->key, 0);
}

gt_status gt_gguf_read_pairs(gt_gguf_cursor *c, gt_gguf_file *f, uint64_t count)
{
    f->pair = calloc((size_t)count + 1, sizeof *f->pair); /* the caller has bounded count */
    if (!f->pair) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %" PRIu64 " keys", c->where, count);
    while (f->pairs < count) {
        f->pairs++; /* first, so that a key already copied is freed */
        GT_TRY(read_pair(c, &f->pair[f->pairs - 1], f->pairs - 1));
    }
    qsort(f->pair, f->pairs, sizeof *f->pair, by_key);
    for (size_t i = 1; i < f->pairs; i++)
        if (strcmp(f->pair[i - 1].key, f->pair[i].key) == 0)
            return GT_FAIL(GT_ERR_DATA, "%s: key '%.200s' is there twice", c->where, f->pair[i].key);
    return GT_OK;
}

const gt_gguf_pair *gt_gguf_find_pair(const gt_gguf_file *f, const char *key)
{
    const gt_gguf_pair want = {.key = (char *)(uintptr_t)key};
    return bsearch(&want, f->pair, f->pairs, sizeof *f->pair, by_key);
}

size_t gt_gguf_key_count(const gt_gguf *g)
{
    return g->file[0].pairs;
}

const char *gt_gguf_key_at(const gt_gguf *g, size_t i, gt_gguf_type *type)
{
    if (i >= g->file[0].pairs) return NULL;
    if (type) *type = g->file[0].pair[i].type;
    return g->file[0].pair[i].key;
}

bool gt_gguf_has(const gt_gguf *g, const char *key)
{
    return gt_gguf_find_pair(&g->file[0], key) != NULL;
}

static gt_status wrong_type(const gt_gguf_file *f, const gt_gguf_pair *p, const char *expected)
{
    return GT_FAIL(GT_ERR_DATA, "%s: key '%.200s' has type %s, expected %s", f->where, p->key, type_name(p->type),
                   expected);
}

/* One number at p. false: t is no integer, or the value does not fit. */
static bool integer_at(const uint8_t *p, gt_gguf_type t, int64_t *out)
{
    const uint64_t u = scalar_size(t) ? gt_gguf_le(p, scalar_size(t)) : 0;
    switch (t) {
    case GT_GGUF_U8:
    case GT_GGUF_U16:
    case GT_GGUF_U32:
        *out = (int64_t)u;
        return true;
    case GT_GGUF_I8:
        *out = (int64_t)(int8_t)u;
        return true;
    case GT_GGUF_I16:
        *out = (int16_t)u;
        return true;
    case GT_GGUF_I32:
        *out = (int32_t)u;
        return true;
    case GT_GGUF_I64:
        *out = (int64_t)u;
        return true;
    case GT_GGUF_U64:
        *out = (int64_t)u;
        return u <= INT64_MAX;
    default:
        return false;
    }
}

static bool double_at(const uint8_t *p, gt_gguf_type t, double *out)
{
    int64_t n;
    float f;
    if (t == GT_GGUF_F32) {
        memcpy(&f, p, 4);
        *out = f;
    } else if (t == GT_GGUF_F64) {
        memcpy(out, p, 8);
    } else {
        if (!integer_at(p, t, &n)) return false;
        *out = (double)n;
    }
    return true;
}

gt_status gt_gguf_pair_int(const gt_gguf_file *f, const char *key, int64_t *out)
{
    const gt_gguf_pair *p = gt_gguf_find_pair(f, key);
    if (!p) return GT_OK;
    int64_t v;
    if (!integer_at(p->value, p->type, &v)) return wrong_type(f, p, "an integer that fits 64 bits with sign");
    *out = v;
    return GT_OK;
}

gt_status gt_gguf_get_int(const gt_gguf *g, const char *key, int64_t *out)
{
    return gt_gguf_pair_int(&g->file[0], key, out);
}

gt_status gt_gguf_get_double(const gt_gguf *g, const char *key, double *out)
{
    const gt_gguf_pair *p = gt_gguf_find_pair(&g->file[0], key);
    double v;
    if (!p) return GT_OK;
    if (!double_at(p->value, p->type, &v)) return wrong_type(&g->file[0], p, "a number");
    *out = v;
    return GT_OK;
}

gt_status gt_gguf_get_bool(const gt_gguf *g, const char *key, bool *out)
{
    const gt_gguf_pair *p = gt_gguf_find_pair(&g->file[0], key);
    if (!p) return GT_OK;
    if (p->type != GT_GGUF_BOOL) return wrong_type(&g->file[0], p, "bool");
    *out = *p->value != 0;
    return GT_OK;
}

gt_status gt_gguf_get_string(const gt_gguf *g, const char *key, const char **bytes, size_t *size)
{
    const gt_gguf_pair *p = gt_gguf_find_pair(&g->file[0], key);
    if (!p) return GT_OK;
    if (p->type != GT_GGUF_STRING) return wrong_type(&g->file[0], p, "string");
    *size = (size_t)gt_gguf_le(p->value, 8);
    *bytes = (const char *)p->value + 8;
    return GT_OK;
}

gt_status gt_gguf_get_array(const gt_gguf *g, const char *key, gt_gguf_array *out)
{
    const gt_gguf_pair *p = gt_gguf_find_pair(&g->file[0], key);
    out->count = 0;
    if (!p) return GT_OK;
    if (p->type != GT_GGUF_ARRAY) return wrong_type(&g->file[0], p, "array");
    out->type = (gt_gguf_type)gt_gguf_le(p->value, 4);
    out->count = gt_gguf_le(p->value + 4, 8);
    out->next = p->value + 12;
    return GT_OK;
}

void gt_gguf_next_string(gt_gguf_array *a, const char **bytes, size_t *size)
{
    *size = (size_t)gt_gguf_le(a->next, 8);
    *bytes = (const char *)a->next + 8;
    a->next += 8 + *size;
}

/* An array of numbers of exactly count elements. */
static gt_status numbers(const gt_gguf *g, const char *key, size_t count, gt_gguf_array *a)
{
    const char *where = g->file[0].where;
    if (!gt_gguf_has(g, key)) return GT_FAIL(GT_ERR_DATA, "%s: key '%.200s' is missing", where, key);
    GT_TRY(gt_gguf_get_array(g, key, a));
    if (a->count != count)
        return GT_FAIL(GT_ERR_DATA, "%s: key '%.200s' has %" PRIu64 " elements, expected %zu", where, key, a->count,
                       count);
    if (count > 0 && (scalar_size(a->type) == 0 || a->type == GT_GGUF_BOOL))
        return GT_FAIL(GT_ERR_DATA, "%s: key '%.200s' is an array of %s, expected numbers", where, key,
                       type_name(a->type));
    return GT_OK;
}

gt_status gt_gguf_copy_f32(const gt_gguf *g, const char *key, float *out, size_t count)
{
    gt_gguf_array a;
    GT_TRY(numbers(g, key, count, &a));
    for (size_t i = 0; i < count; i++) {
        double v;
        if (!double_at(a.next + i * (size_t)types[a.type].size, a.type, &v))
            return GT_FAIL(GT_ERR_DATA, "%s: key '%.200s': element %zu is no number", g->file[0].where, key, i);
        out[i] = (float)v;
    }
    return GT_OK;
}

gt_status gt_gguf_copy_i32(const gt_gguf *g, const char *key, int32_t *out, size_t count)
{
    gt_gguf_array a;
    GT_TRY(numbers(g, key, count, &a));
    for (size_t i = 0; i < count; i++) {
        int64_t v;
        if (!integer_at(a.next + i * (size_t)types[a.type].size, a.type, &v) || v < INT32_MIN || v > INT32_MAX)
            return GT_FAIL(GT_ERR_DATA, "%s: key '%.200s': element %zu is no whole number of 32 bits", g->file[0].where,
                           key, i);
        out[i] = (int32_t)v;
    }
    return GT_OK;
}
