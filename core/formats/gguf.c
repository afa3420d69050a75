#include "gguf_private.h"

#include "checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bounds on what a header may claim: generous for any model, small enough that the tables stay a few MiB. */
enum { MAX_PAIRS = 1 << 16, MAX_TENSORS = 1 << 16, MAX_NAME = 64, MAX_FILES = 1024, MAX_ALIGNMENT = 1 << 20 };
enum { MIN_PAIR = 8 + 1 + 4 + 1, MIN_INFO = 8 + 1 + 4 + 4 + 8 }; /* bytes of the smallest entry */

static const struct {
    uint32_t id;
    int dtype; /* -1: known by name only */
    const char *name;
} ggml_types[] = {
    {0, GT_F32, "F32"},    {1, GT_F16, "F16"},    {2, GT_Q4_0, "Q4_0"},  {3, GT_Q4_1, "Q4_1"},  {6, GT_Q5_0, "Q5_0"},
    {7, GT_Q5_1, "Q5_1"},  {8, GT_Q8_0, "Q8_0"},  {9, -1, "Q8_1"},       {10, -1, "Q2_K"},      {11, -1, "Q3_K"},
    {12, GT_Q4_K, "Q4_K"}, {13, GT_Q5_K, "Q5_K"}, {14, GT_Q6_K, "Q6_K"}, {15, -1, "Q8_K"},      {16, -1, "IQ2_XXS"},
    {17, -1, "IQ2_XS"},    {18, -1, "IQ3_XXS"},   {19, -1, "IQ1_S"},     {20, -1, "IQ4_NL"},    {21, -1, "IQ3_S"},
    {22, -1, "IQ2_S"},     {23, -1, "IQ4_XS"},    {24, GT_I8, "I8"},     {25, GT_I16, "I16"},   {26, GT_I32, "I32"},
    {27, GT_I64, "I64"},   {28, GT_F64, "F64"},   {29, -1, "IQ1_M"},     {30, GT_BF16, "BF16"}, {34, -1, "TQ1_0"},
    {35, -1, "TQ2_0"},     {39, -1, "MXFP4"},
};

static gt_status read_type(const char *where, const char *name, uint32_t id, gt_dtype *out)
{
    const char *known = "not known here";
    for (size_t i = 0; i < sizeof ggml_types / sizeof *ggml_types; i++)
        if (ggml_types[i].id == id) {
            if (ggml_types[i].dtype >= 0) {
                *out = (gt_dtype)ggml_types[i].dtype;
                return GT_OK;
            }
            known = ggml_types[i].name;
        }
    return GT_FAIL(
        GT_ERR_DATA,
        "%s: tensor '%s' has type %u (%s); supported are F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, "
        "Q6_K",
        where, name, id, known);
}

static gt_status read_name(gt_gguf_cursor *c, gt_gguf_tensor *t, size_t number)
{
    uint64_t n = 0;
    GT_TRY(gt_gguf_read_u64(c, &n, "the list of tensors"));
    if (n == 0 || n > MAX_NAME || n > (uint64_t)(c->end - c->at))
        return GT_FAIL(GT_ERR_DATA,
                       "%s: the name of tensor %zu has %" PRIu64 " bytes, expected 1 to %d inside the file", c->where,
                       number, n, MAX_NAME);
    for (uint64_t i = 0; i < n; i++)
        if (c->at[i] < 0x20 || c->at[i] == 0x7f)
            return GT_FAIL(GT_ERR_DATA, "%s: the name of tensor %zu holds a control character", c->where, number);
    t->name = strndup((const char *)c->at, (size_t)n);
    if (!t->name) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", c->where);
    c->at += n;
    return GT_OK;
}

static gt_status read_dims(gt_gguf_cursor *c, gt_gguf_tensor *t)
{
    uint32_t rank = 0;
    GT_TRY(gt_gguf_read_u32(c, &rank, t->name));
    if (rank > 4)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has %u dimensions, at most 4 are allowed", c->where, t->name,
                       rank);
    t->rank = (int)rank;
    t->elements = 1;
    for (int i = 0; i < 4; i++) {
        t->dim[i] = 1;
        if (i < t->rank) GT_TRY(gt_gguf_read_u64(c, &t->dim[i], t->name));
        if (t->dim[i] == 0) return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s': dimension %d is 0", c->where, t->name, i);
        if (t->dim[i] > INT64_MAX || !gt_mul_size(t->elements, (size_t)t->dim[i], &t->elements) ||
            t->elements > INT64_MAX)
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s': the product of its dimensions overflows", c->where, t->name);
    }
    return GT_OK;
}

static gt_status read_info(gt_gguf_cursor *c, gt_gguf_tensor *t, size_t number, uint64_t alignment, uint64_t *offset)
{
    uint32_t type = 0;
    GT_TRY(read_name(c, t, number));
    GT_TRY(read_dims(c, t));
    GT_TRY(gt_gguf_read_u32(c, &type, t->name));
    GT_TRY(gt_gguf_read_u64(c, offset, t->name));
    GT_TRY(read_type(c->where, t->name, type, &t->dtype));
    const size_t per = (size_t)gt_dtype_block_elements(t->dtype);
    if (t->dim[0] % per != 0)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: tensor '%s': a row of %" PRIu64 " is no multiple of the %zu elements of a %s block",
                       c->where, t->name, t->dim[0], per, gt_dtype_name(t->dtype));
    if (!gt_mul_size(t->elements / per, (size_t)gt_dtype_block_bytes(t->dtype), &t->bytes))
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s': its size in bytes overflows", c->where, t->name);
    if (*offset % alignment != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s': offset %" PRIu64 " is no multiple of the alignment %" PRIu64,
                       c->where, t->name, *offset, alignment);
    return GT_OK;
}

static int by_position(const void *a, const void *b)
{
    const gt_gguf_tensor *x = *(const gt_gguf_tensor *const *)a, *y = *(const gt_gguf_tensor *const *)b;
    return x->data < y->data ? -1 : x->data > y->data;
}

/* No two of the tensors [first, count) lie on each other. */
static gt_status check_overlap(const gt_gguf *g, size_t first, const char *where)
{
    const size_t n = g->count - first;
    const gt_gguf_tensor **order = calloc(n + 1, sizeof *order);
    if (!order) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu tensors", where, n);
    for (size_t i = 0; i < n; i++) order[i] = &g->tensor[first + i];
    qsort(order, n, sizeof *order, by_position);
    gt_status st = GT_OK;
    for (size_t i = 1; i < n && st == GT_OK; i++)
        if ((const uint8_t *)order[i - 1]->data + order[i - 1]->bytes > (const uint8_t *)order[i]->data)
            st = GT_FAIL(GT_ERR_DATA, "%s: tensors '%s' and '%s' overlap", where, order[i - 1]->name, order[i]->name);
    free(order);
    return st;
}

static gt_status read_alignment(const gt_gguf_file *f, uint64_t *out)
{
    const gt_gguf_pair *p = gt_gguf_find_pair(f, "general.alignment");
    *out = 32;
    if (!p) return GT_OK;
    *out = p->type == GT_GGUF_U32 ? gt_gguf_le(p->value, 4) : 0;
    if (*out == 0 || *out % 8 != 0 || *out > MAX_ALIGNMENT)
        return GT_FAIL(GT_ERR_DATA, "%s: general.alignment must be a u32, a multiple of 8 up to %d", f->where,
                       MAX_ALIGNMENT);
    return GT_OK;
}

static gt_status grow(gt_gguf *g, size_t more, const char *where)
{
    gt_gguf_tensor *t = realloc(g->tensor, (g->count + more + 1) * sizeof *t);
    if (!t) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu tensors", where, more);
    g->tensor = t;
    memset(t + g->count, 0, (more + 1) * sizeof *t);
    return GT_OK;
}

static gt_status read_tensors(gt_gguf *g, int number, gt_gguf_cursor *c, size_t count)
{
    const gt_gguf_file *f = &g->file[number];
    const size_t first = g->count;
    uint64_t alignment = 32;
    GT_TRY(read_alignment(f, &alignment));
    GT_TRY(grow(g, count, f->where));
    uint64_t *offset = calloc(count + 1, sizeof *offset);
    if (!offset) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu offsets", f->where, count);
    gt_status st = GT_OK;
    for (size_t i = 0; i < count && st == GT_OK; i++) {
        g->tensor[g->count].file = number;
        st = read_info(c, &g->tensor[g->count], i, alignment, &offset[i]);
        g->count++; /* also on failure: its name is freed with the rest */
    }
    /* The data begin at the next multiple of the alignment; a file without tensors may end before. */
    const uint64_t at = (uint64_t)(c->at - f->bytes), begin = (at + alignment - 1) / alignment * alignment;
    for (size_t i = 0; i < count && st == GT_OK; i++) {
        gt_gguf_tensor *t = &g->tensor[first + i];
        if (begin > f->size || !gt_range_inside(offset[i], t->bytes, f->size - begin))
            st = GT_FAIL(GT_ERR_DATA,
                         "%s: tensor '%s': %zu bytes at offset %" PRIu64
                         " leave the file (%zu bytes, data from %" PRIu64 "): cut short?",
                         f->where, t->name, t->bytes, offset[i], f->size, begin);
        else
            t->data = f->bytes + begin + offset[i];
    }
    free(offset);
    return st == GT_OK ? check_overlap(g, first, f->where) : st;
}

static gt_status read_file(gt_gguf *g, int number)
{
    gt_gguf_file *f = &g->file[number];
    uint64_t tensors = 0, pairs = 0;
    if (f->size < 24 || memcmp(f->bytes, "GGUF", 4) != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: not a GGUF file (%zu bytes, and they do not begin with GGUF and a header)",
                       f->where, f->size);
    gt_gguf_cursor c = {f->bytes + 4, f->bytes + f->size, f->where};
    GT_TRY(gt_gguf_read_u32(&c, &f->version, "the header"));
    if (f->version != 2 && f->version != 3)
        return GT_FAIL(GT_ERR_DATA, "%s: GGUF version %u%s, expected 2 or 3", f->where, f->version,
                       f->version != 0 && (f->version & 0xffff) == 0 ? " (a big-endian file)" : "");
    GT_TRY(gt_gguf_read_u64(&c, &tensors, "the header"));
    GT_TRY(gt_gguf_read_u64(&c, &pairs, "the header"));
    const size_t left = (size_t)(c.end - c.at);
    if (pairs > MAX_PAIRS || pairs > left / MIN_PAIR)
        return GT_FAIL(GT_ERR_DATA, "%s: %" PRIu64 " metadata keys cannot be in %zu bytes (at most %d are read)",
                       f->where, pairs, left, MAX_PAIRS);
    if (tensors > MAX_TENSORS || tensors > left / MIN_INFO)
        return GT_FAIL(GT_ERR_DATA, "%s: %" PRIu64 " tensors cannot be in %zu bytes (at most %d are read)", f->where,
                       tensors, left, MAX_TENSORS);
    GT_TRY(gt_gguf_read_pairs(&c, f, pairs));
    return read_tensors(g, number, &c, (size_t)tensors);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const gt_gguf_tensor *const *)a)->name, (*(const gt_gguf_tensor *const *)b)->name);
}

static gt_status index_names(gt_gguf *g)
{
    g->by_name = calloc(g->count + 1, sizeof *g->by_name);
    if (!g->by_name) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu names", g->file[0].where, g->count);
    for (size_t i = 0; i < g->count; i++) g->by_name[i] = &g->tensor[i];
    qsort(g->by_name, g->count, sizeof *g->by_name, by_name);
    for (size_t i = 1; i < g->count; i++)
        if (by_name(&g->by_name[i - 1], &g->by_name[i]) == 0)
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' is there twice", g->file[g->by_name[i]->file].where,
                           g->by_name[i]->name);
    return GT_OK;
}

static gt_status begin(gt_gguf **out, const char *where, int files)
{
    gt_gguf *g = calloc(1, sizeof *g);
    if (g) g->file = calloc((size_t)files, sizeof *g->file);
    if (!g || !g->file) {
        free(g);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a reader", where);
    }
    *out = g;
    return GT_OK;
}

/* Maps and reads path as the reader's next file. */
static gt_status add_file(gt_gguf *g, const char *path)
{
    gt_gguf_file *f = &g->file[g->files++];
    f->where = strdup(path);
    if (!f->where) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", path);
    GT_TRY(gt_map_open(&f->map, path));
    f->bytes = f->map.data;
    f->size = f->map.size;
    return read_file(g, g->files - 1);
}

gt_status gt_gguf_open_bytes(gt_gguf **out, const void *data, size_t size, const char *where)
{
    gt_gguf *g = NULL;
    GT_TRY(begin(&g, where, 1));
    gt_gguf_file *f = &g->file[g->files++];
    f->bytes = data;
    f->size = size;
    f->where = strdup(where);
    gt_status st = f->where ? read_file(g, 0) : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", where);
    if (st == GT_OK) st = index_names(g);
    if (st != GT_OK)
        gt_gguf_close(g);
    else
        *out = g;
    return st;
}

/* Whether path ends in -NNNNN-of-MMMMM.gguf; the length of what stands before, and M. */
static bool split_name(const char *path, int *stem, int *count)
{
    static const char form[] = "-00000-of-00000.gguf";
    const size_t n = strlen(path), m = strlen(form);
    if (n <= m || n > 4000) return false;
    const char *tail = path + n - m;
    for (size_t i = 0; i < m; i++)
        if (form[i] == '0' ? tail[i] < '0' || tail[i] > '9' : tail[i] != form[i]) return false;
    *stem = (int)(n - m);
    *count = atoi(tail + 10);
    return true;
}

/* File `number` of a split model says so itself. */
static gt_status check_split(const gt_gguf *g, int number, int count)
{
    const gt_gguf_file *f = &g->file[number];
    int64_t no = -1, of = -1;
    GT_TRY(gt_gguf_pair_int(f, "split.no", &no));
    GT_TRY(gt_gguf_pair_int(f, "split.count", &of));
    if (no != number || of != count)
        return GT_FAIL(GT_ERR_DATA, "%s: split.no %" PRId64 " and split.count %" PRId64 ", expected %d and %d",
                       f->where, no, of, number, count);
    return GT_OK;
}

static gt_status open_split(gt_gguf **out, const char *path, int stem, int count)
{
    gt_gguf *g = NULL;
    char name[4096];
    GT_TRY(begin(&g, path, count));
    gt_status st = GT_OK;
    for (int i = 0; i < count && st == GT_OK; i++) {
        snprintf(name, sizeof name, "%.*s-%05d-of-%05d.gguf", stem, path, i + 1, count);
        st = add_file(g, name);
        if (st == GT_OK) st = check_split(g, i, count);
    }
    int64_t want = (int64_t)g->count;
    if (st == GT_OK) st = gt_gguf_pair_int(&g->file[0], "split.tensors.count", &want);
    if (st == GT_OK && want != (int64_t)g->count)
        st = GT_FAIL(GT_ERR_DATA, "%s: split.tensors.count says %" PRId64 ", the files hold %zu tensors", path, want,
                     g->count);
    if (st == GT_OK) st = index_names(g);
    if (st != GT_OK)
        gt_gguf_close(g);
    else
        *out = g;
    return st;
}

gt_status gt_gguf_open(gt_gguf **out, const char *path)
{
    gt_gguf *g = NULL;
    int64_t count = 1;
    int stem = 0, named = 0;
    GT_TRY(begin(&g, path, 1));
    gt_status st = add_file(g, path);
    if (st == GT_OK) st = gt_gguf_pair_int(&g->file[0], "split.count", &count);
    if (st == GT_OK && count <= 1) st = index_names(g);
    if (st != GT_OK || count <= 1) {
        if (st != GT_OK)
            gt_gguf_close(g);
        else
            *out = g;
        return st;
    }
    gt_gguf_close(g);
    if (!split_name(path, &stem, &named) || named != count || count > MAX_FILES)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: one of %" PRId64 " files of a split model (at most %d are read), but it is not named "
                       "NAME-00001-of-%05" PRId64 ".gguf, so the others cannot be found",
                       path, count, MAX_FILES, count);
    return open_split(out, path, stem, named);
}

void gt_gguf_close(gt_gguf *g)
{
    if (!g) return;
    for (int i = 0; i < g->files; i++) {
        gt_gguf_file *f = &g->file[i];
        for (size_t k = 0; k < f->pairs; k++) free(f->pair[k].key);
        free(f->pair);
        free(f->where);
        gt_map_close(&f->map);
    }
    for (size_t i = 0; i < g->count; i++) free((char *)(uintptr_t)g->tensor[i].name);
    free(g->tensor);
    free(g->by_name);
    free(g->file);
    free(g);
}

const char *gt_gguf_path(const gt_gguf *g, int file)
{
    return g->file[file].where;
}

size_t gt_gguf_count(const gt_gguf *g)
{
    return g->count;
}
const gt_gguf_tensor *gt_gguf_at(const gt_gguf *g, size_t i)
{
    return i < g->count ? &g->tensor[i] : NULL;
}

const gt_gguf_tensor *gt_gguf_find(const gt_gguf *g, const char *name)
{
    const gt_gguf_tensor want = {.name = name}, *key = &want;
    const gt_gguf_tensor **hit = bsearch(&key, g->by_name, g->count, sizeof *g->by_name, by_name);
    return hit ? *hit : NULL;
}
