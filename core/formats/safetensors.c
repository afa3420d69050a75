#include "safetensors.h"

#include "checked.h"
#include "fs.h"
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct gt_safetensors {
    gt_map map;
    const uint8_t *bytes; /* the map's, or the caller's */
    size_t size;
    char *where;
    gt_json_doc *doc; /* owns names and metadata */
    const gt_json *metadata;
    size_t count;
    gt_safetensor *tensor;         /* [count] by position in the data */
    const gt_safetensor **by_name; /* [count] */
    uint64_t *shapes;              /* all shapes, one after the other */
};

static const struct {
    const char *name;
    unsigned bits;
    int dtype;
} formats[] = {
    {"BOOL", 8, GT_BOOL},
    {"U8", 8, GT_U8},
    {"I8", 8, GT_I8},
    {"I16", 16, GT_I16},
    {"U16", 16, GT_U16},
    {"F16", 16, GT_F16},
    {"BF16", 16, GT_BF16},
    {"I32", 32, GT_I32},
    {"U32", 32, GT_U32},
    {"F32", 32, GT_F32},
    {"F64", 64, GT_F64},
    {"I64", 64, GT_I64},
    {"U64", 64, GT_U64},
    {"F4", 4, GT_SAFETENSORS_OPAQUE},
    {"F6_E2M3", 6, GT_SAFETENSORS_OPAQUE},
    {"F6_E3M2", 6, GT_SAFETENSORS_OPAQUE},
    {"F8_E5M2", 8, GT_SAFETENSORS_OPAQUE},
    {"F8_E4M3", 8, GT_SAFETENSORS_OPAQUE},
    {"F8_E8M0", 8, GT_SAFETENSORS_OPAQUE},
    {"F8_E4M3FNUZ", 8, GT_SAFETENSORS_OPAQUE},
    {"F8_E5M2FNUZ", 8, GT_SAFETENSORS_OPAQUE},
    {"C64", 64, GT_SAFETENSORS_OPAQUE},
};

/* A non-negative whole number of the header. */
static bool whole(const gt_json *v, uint64_t *out)
{
    if (!gt_json_is_int(v, 0, INT64_MAX)) return false;
    *out = (uint64_t)v->integer;
    return true;
}

static size_t count_dimensions(const gt_json *root)
{
    size_t n = 0;
    for (const gt_json *e = root->child; e; e = e->next) {
        const gt_json *shape = gt_json_get(e, "shape");
        if (shape && shape->type == GT_JSON_ARRAY) n += shape->count;
    }
    return n;
}

static gt_status read_dtype(const gt_json *entry, gt_safetensor *t, unsigned *bits, const char *where)
{
    const gt_json *v = gt_json_get(entry, "dtype");
    if (!v || v->type != GT_JSON_STRING)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s' has no string field dtype", where, t->name);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (gt_json_is_string(v, formats[i].name)) {
            t->dtype = (gt_dtype)formats[i].dtype;
            t->dtype_name = formats[i].name;
            *bits = formats[i].bits;
            return GT_OK;
        }
    return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s' has dtype '%.40s', which safetensors does not define", where,
                   t->name, v->string);
}

/* Shape, element count and size in bytes from the shape; dims: where the shape is stored. */
static gt_status read_shape(const gt_json *entry, gt_safetensor *t, unsigned bits, uint64_t *dims, const char *where)
{
    const gt_json *v = gt_json_get(entry, "shape");
    if (!v || v->type != GT_JSON_ARRAY)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s' has no array field shape", where, t->name);
    size_t elements = 1, all_bits;
    int rank = 0;
    for (const gt_json *d = v->child; d; d = d->next, rank++) {
        if (!whole(d, &dims[rank]))
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': shape[%d] is not a whole number from 0 up", where,
                           t->name, rank);
        if (!gt_mul_size(elements, (size_t)dims[rank], &elements))
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': the product of its shape overflows 64 bits", where,
                           t->name);
    }
    if (!gt_mul_size(elements, bits, &all_bits))
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': %zu elements of %s overflow 64 bits", where, t->name,
                       elements, t->dtype_name);
    if (all_bits % 8 != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': %zu elements of %s are no whole number of bytes", where,
                       t->name, elements, t->dtype_name);
    t->rank = rank;
    t->shape = dims;
    t->elements = elements;
    t->bytes = all_bits / 8;
    return GT_OK;
}

static gt_status read_offsets(const gt_json *entry, gt_safetensor *t, const uint8_t *data, size_t total,
                              const char *where)
{
    const gt_json *v = gt_json_get(entry, "data_offsets");
    uint64_t begin, end;
    if (!v || v->type != GT_JSON_ARRAY || v->count != 2 || !whole(v->child, &begin) || !whole(v->child->next, &end))
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s': data_offsets is not a pair of whole numbers from 0 up", where,
                       t->name);
    if (begin > end || end > total)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: tensor '%.200s': data_offsets [%" PRIu64 ", %" PRIu64 "] leave the %zu data bytes", where,
                       t->name, begin, end, total);
    if (end - begin != t->bytes)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: tensor '%.200s': data_offsets hold %" PRIu64 " bytes, dtype %s and shape need %zu", where,
                       t->name, end - begin, t->dtype_name, t->bytes);
    t->data = data + begin;
    return GT_OK;
}

static int by_position(const void *a, const void *b)
{
    const gt_safetensor *x = a, *y = b;
    if (x->data != y->data) return (const uint8_t *)x->data < (const uint8_t *)y->data ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1; /* empty ones before the one that begins there */
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const gt_safetensor *const *)a)->name, (*(const gt_safetensor *const *)b)->name);
}

static gt_status check_cover(gt_safetensors *s, const uint8_t *data, size_t total)
{
    size_t end = 0;
    for (size_t i = 0; i < s->count; i++) {
        const gt_safetensor *t = &s->tensor[i];
        const size_t begin = (size_t)((const uint8_t *)t->data - data);
        if (begin != end)
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s' begins at data byte %zu, expected %zu: %s", s->where,
                           t->name, begin, end, begin < end ? "it overlaps the one before" : "a hole lies before it");
        end = begin + t->bytes;
    }
    if (end != total)
        return GT_FAIL(GT_ERR_DATA, "%s: the tensors end at data byte %zu, the file has %zu: bytes without a tensor",
                       s->where, end, total);
    return GT_OK;
}

static gt_status read_metadata(gt_safetensors *s, const gt_json *v)
{
    if (v->type != GT_JSON_OBJECT)
        return GT_FAIL(GT_ERR_DATA, "%s: __metadata__ is not an object of strings", s->where);
    for (const gt_json *m = v->child; m; m = m->next)
        if (m->type != GT_JSON_STRING)
            return GT_FAIL(GT_ERR_DATA, "%s: __metadata__ field '%.200s' is not a string", s->where, m->key);
    s->metadata = v;
    return GT_OK;
}

static gt_status read_header(gt_safetensors *s)
{
    if (s->size < 8)
        return GT_FAIL(GT_ERR_DATA, "%s: %zu bytes are too few for a safetensors file (8 for the header's length)",
                       s->where, s->size);
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | s->bytes[i];
    if (n > GT_SAFETENSORS_MAX_HEADER)
        return GT_FAIL(GT_ERR_DATA, "%s: header of %" PRIu64 " bytes, at most %d are allowed: not a safetensors file?",
                       s->where, n, GT_SAFETENSORS_MAX_HEADER);
    if (n > s->size - 8)
        return GT_FAIL(GT_ERR_DATA, "%s: header of %" PRIu64 " bytes in a file of %zu: cut short?", s->where, n,
                       s->size);
    const char *text = (const char *)s->bytes + 8;
    if (n == 0 || text[0] != '{')
        return GT_FAIL(GT_ERR_DATA, "%s: the header does not begin with '{': not a safetensors file", s->where);
    GT_TRY(gt_json_parse(&s->doc, text, (size_t)n, s->where));
    const gt_json *root = gt_json_root(s->doc);

    s->tensor = calloc((size_t)root->count + 1, sizeof *s->tensor);
    s->by_name = calloc((size_t)root->count + 1, sizeof *s->by_name);
    s->shapes = calloc(count_dimensions(root) + 1, sizeof *s->shapes);
    if (!s->tensor || !s->by_name || !s->shapes) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its header", s->where);

    const uint8_t *data = s->bytes + 8 + n;
    const size_t total = s->size - 8 - (size_t)n;
    uint64_t *dims = s->shapes;
    for (const gt_json *e = root->child; e; e = e->next) {
        if (strlen(e->key) != e->key_length)
            return GT_FAIL(GT_ERR_DATA, "%s: a tensor's name holds a NUL byte: '%.200s'", s->where, e->key);
        if (strcmp(e->key, "__metadata__") == 0) {
            GT_TRY(read_metadata(s, e));
            continue;
        }
        gt_safetensor *t = &s->tensor[s->count];
        t->name = e->key;
        if (e->type != GT_JSON_OBJECT)
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s' is not described by an object", s->where, t->name);
        unsigned bits = 0;
        GT_TRY(read_dtype(e, t, &bits, s->where));
        GT_TRY(read_shape(e, t, bits, dims, s->where));
        GT_TRY(read_offsets(e, t, data, total, s->where));
        dims += t->rank;
        s->count++;
    }
    qsort(s->tensor, s->count, sizeof *s->tensor, by_position);
    GT_TRY(check_cover(s, data, total));
    for (size_t i = 0; i < s->count; i++) s->by_name[i] = &s->tensor[i];
    qsort(s->by_name, s->count, sizeof *s->by_name, by_name);
    return GT_OK;
}

static gt_status begin(gt_safetensors **out, const char *where)
{
    gt_safetensors *s = calloc(1, sizeof *s);
    if (!s || !(s->where = strdup(where))) {
        free(s);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a reader", where);
    }
    *out = s;
    return GT_OK;
}

gt_status gt_safetensors_open_bytes(gt_safetensors **out, const void *data, size_t size, const char *where)
{
    gt_safetensors *s;
    GT_TRY(begin(&s, where));
    s->bytes = data;
    s->size = size;
    gt_status st = read_header(s);
    if (st != GT_OK)
        gt_safetensors_close(s);
    else
        *out = s;
    return st;
}

gt_status gt_safetensors_open(gt_safetensors **out, const char *path)
{
    gt_safetensors *s;
    GT_TRY(begin(&s, path));
    gt_status st = gt_map_open(&s->map, path);
    if (st == GT_OK) {
        s->bytes = s->map.data;
        s->size = s->map.size;
        st = read_header(s);
    }
    if (st != GT_OK)
        gt_safetensors_close(s);
    else
        *out = s;
    return st;
}

void gt_safetensors_close(gt_safetensors *s)
{
    if (!s) return;
    gt_json_free(s->doc);
    gt_map_close(&s->map);
    free(s->tensor);
    free(s->by_name);
    free(s->shapes);
    free(s->where);
    free(s);
}

const char *gt_safetensors_path(const gt_safetensors *s)
{
    return s->where;
}

size_t gt_safetensors_count(const gt_safetensors *s)
{
    return s->count;
}

const gt_safetensor *gt_safetensors_at(const gt_safetensors *s, size_t i)
{
    return i < s->count ? &s->tensor[i] : NULL;
}

const gt_safetensor *gt_safetensors_find(const gt_safetensors *s, const char *name)
{
    const gt_safetensor want = {.name = name}, *key = &want;
    const gt_safetensor **hit = bsearch(&key, s->by_name, s->count, sizeof *s->by_name, by_name);
    return hit ? *hit : NULL;
}

const char *gt_safetensors_metadata(const gt_safetensors *s, const char *key)
{
    const gt_json *v = s->metadata ? gt_json_get(s->metadata, key) : NULL;
    return v ? v->string : NULL;
}

size_t gt_safetensors_metadata_count(const gt_safetensors *s)
{
    return s->metadata ? s->metadata->count : 0;
}

const char *gt_safetensors_metadata_at(const gt_safetensors *s, size_t i, const char **key)
{
    const gt_json *m = s->metadata ? s->metadata->child : NULL;
    while (m && i-- > 0) m = m->next;
    if (!m) return NULL;
    *key = m->key;
    return m->string;
}
