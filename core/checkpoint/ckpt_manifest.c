#include "ckpt_manifest.h"

#include "checked.h"
#include "fs.h"
#include "hash.h"
#include "json_members.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static gt_status refuse(const gt_json_members *m, const gt_member_fault *f)
{
    static const struct {
        gt_json_type type;
        const char *name;
    } kind[] = {[GT_MEMBER_INT] = {GT_JSON_NUMBER, "an integer"},   [GT_MEMBER_NUMBER] = {GT_JSON_NUMBER, "a number"},
                [GT_MEMBER_BOOL] = {GT_JSON_TRUE, "true or false"}, [GT_MEMBER_TEXT] = {GT_JSON_STRING, "a string"},
                [GT_MEMBER_DIGEST] = {GT_JSON_STRING, "a string"},  [GT_MEMBER_ARRAY] = {GT_JSON_ARRAY, "an array"},
                [GT_MEMBER_OBJECT] = {GT_JSON_OBJECT, "an object"}};
    const gt_json *v = f->found;
    if (!v || v->type != kind[f->expected].type)
        return GT_FAIL(GT_ERR_DATA, "%s: '%s' is %s; expected %s", m->where, f->key, v ? "of another type" : "absent",
                       kind[f->expected].name);
    if (v->type == GT_JSON_NUMBER)
        return GT_FAIL(GT_ERR_DATA, "%s: '%s' is %g; expected an integer from %lld to %lld", m->where, f->key,
                       v->number, (long long)f->least, (long long)f->most);
    if (v->length > f->longest || !gt_json_c_string(v))
        return GT_FAIL(GT_ERR_DATA, "%s: '%s' is a string of %zu bytes; expected at most %zu, none of them zero",
                       m->where, f->key, v->length, f->longest);
    return GT_FAIL(GT_ERR_DATA, "%s: '%s' is '%s'; expected 64 lower-case hex digits", m->where, f->key, v->string);
}

/* A digest, or "" where there is nothing to have one. */
static gt_status digest_or_none(gt_json_members *m, const char *key, const char **out)
{
    const gt_json *v = gt_json_get(m->object, key);
    if (!gt_json_is_string(v, "")) return gt_members_digest(m, key, out);
    *out = v->string;
    return GT_OK;
}

static gt_status unsigned_text(gt_json_members *m, const char *key, uint64_t *out)
{
    const char *s;
    GT_TRY(gt_members_text(m, key, 20, &s));
    uint64_t n = 0;
    bool good = *s != 0;
    for (const char *p = s; *p && good; p++)
        good = *p >= '0' && *p <= '9' && !__builtin_mul_overflow(n, (uint64_t)10, &n) &&
               !__builtin_add_overflow(n, (uint64_t)(*p - '0'), &n);
    if (!good) return GT_FAIL(GT_ERR_DATA, "%s: '%s' is '%s'; expected a number below 2^64", m->where, key, s);
    *out = n;
    return GT_OK;
}

/* The bytes of an object as they stand in the text: recipes are compared byte for byte. The text has been parsed, so
 * counting braces outside strings finds the end. */
static gt_status raw_object(gt_json_members *m, const char *key, const char *text, char **out)
{
    gt_json_members object;
    GT_TRY(gt_members_object(m, key, &object));
    const char *begin = text + object.object->offset, *p = begin;
    int depth = 0;
    bool inside = false;
    for (;; p++) {
        if (inside) {
            if (*p == '\\')
                p++;
            else if (*p == '"')
                inside = false;
        } else if (*p == '"')
            inside = true;
        else if (*p == '{')
            depth++;
        else if (*p == '}' && --depth == 0)
            break;
    }
    *out = strndup(begin, (size_t)(p + 1 - begin));
    return *out ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "%s: no memory", m->where);
}

static gt_status read_state(gt_manifest *m, gt_json_members *root, const char *text)
{
    gt_json_members o;
    gt_train_state *s = &m->state;
    const char *id;
    GT_TRY(gt_members_object(root, "state", &o));
    GT_TRY(gt_members_digest(&o, "id", &id));
    memcpy(m->id, id, 65);
    GT_TRY(gt_members_int64(&o, "step", 0, INT64_MAX, &s->step));
    GT_TRY(gt_members_int64(&o, "epoch", 0, INT64_MAX, &s->epoch));
    GT_TRY(gt_members_int64(&o, "window", 0, INT64_MAX, &s->window));
    GT_TRY(gt_members_int64(&o, "rows_seen", 0, INT64_MAX, &s->rows_seen));
    GT_TRY(gt_members_int64(&o, "tokens_seen", 0, INT64_MAX, &s->tokens_seen));
    GT_TRY(gt_members_int64(&o, "supervised_seen", 0, INT64_MAX, &s->supervised_seen));
    GT_TRY(unsigned_text(&o, "seed", &s->seed));
    GT_TRY(gt_members_int(&o, "world_size", 1, INT32_MAX, &s->world_size));
    GT_TRY(gt_members_int64(&o, "best_eval_step", -1, INT64_MAX, &s->best_eval_step));
    if (s->best_eval_step >= 0) GT_TRY(gt_members_number(&o, "best_eval_loss", -DBL_MAX, DBL_MAX, &s->best_eval_loss));
    GT_TRY(gt_members_digest(&o, "dataset", &s->dataset));
    GT_TRY(gt_members_digest(&o, "base", &s->base));
    GT_TRY(digest_or_none(&o, "tokenizer", &s->tokenizer));
    GT_TRY(gt_members_text(&o, "numerics", 200, &s->numerics));
    GT_TRY(gt_members_text(&o, "tool", 200, &s->tool));
    GT_TRY(raw_object(&o, "recipe", text, &m->texts[0]));
    GT_TRY(raw_object(&o, "metrics", text, &m->texts[1]));
    GT_TRY(raw_object(&o, "extra", text, &m->texts[2]));
    s->recipe = m->texts[0];
    s->metrics = m->texts[1];
    s->extra = m->texts[2];
    return GT_OK;
}

/* Lists. */

/* *memory: a zeroed array of elements of `size` bytes, one for every entry and one more. */
static gt_status list(gt_json_members *m, const char *key, uint32_t limit, size_t size, const gt_json **out,
                      void *memory)
{
    const gt_json *v;
    GT_TRY(gt_members_array(m, key, &v));
    if (v->count > limit)
        return GT_FAIL(GT_ERR_DATA, "%s: '%s' has %u entries; at most %u are read", m->where, key, v->count, limit);
    void *p = calloc((size_t)v->count + 1, size);
    if (!p) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", m->where, key);
    memcpy(memory, &p, sizeof p);
    *out = v;
    return GT_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names are safe to use as links and file names, and each stands for one thing. first: the name of the first of count
 * structs that are `stride` bytes apart. */
static gt_status check_names(const char *where, const char *what, const char *const *first, size_t stride, int count)
{
    gt_status st = GT_OK;
    const char **names = calloc((size_t)count + 1, sizeof *names);
    if (!names) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for names", where);
    for (int i = 0; i < count; i++) names[i] = *(const char *const *)((const char *)first + (size_t)i * stride);
    qsort(names, (size_t)count, sizeof *names, by_text);
    for (int i = 0; i < count && st == GT_OK; i++) {
        if (!gt_fs_safe_name(names[i]))
            st =
                GT_FAIL(GT_ERR_DATA, "%s: %s name '%s'; expected 1 to 255 of A-Z a-z 0-9 . _ -", where, what, names[i]);
        else if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
            st = GT_FAIL(GT_ERR_DATA, "%s: %s '%s' is listed twice", where, what, names[i]);
    }
    free(names);
    return st;
}

/* An entry of a list; one that is no object has no members. */
static gt_json_members entry(const gt_json_members *list, const gt_json *e)
{
    return (gt_json_members){.object = e, .where = list->where, .refuse = refuse};
}

static gt_status read_tensor(gt_json_members o, gt_ckpt_tensor *t)
{
    const gt_json *shape;
    GT_TRY(gt_members_text(&o, "name", GT_CKPT_NAME, &t->name));
    GT_TRY(gt_members_array(&o, "shape", &shape));
    if (shape->count < 1 || shape->count > GT_CKPT_DIMS)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has %u dimensions; expected 1 to %d", o.where, t->name,
                       shape->count, (int)GT_CKPT_DIMS);
    for (const gt_json *d = shape->child; d; d = d->next) {
        if (!gt_json_is_int(d, 1, INT64_MAX))
            return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has a dimension of %g; expected >= 1", o.where, t->name,
                           d->number);
        t->shape[t->dims++] = d->integer;
    }
    return GT_OK;
}

static gt_status read_tensors(gt_manifest *m, gt_json_members *root)
{
    const gt_json *v;
    int n = 0;
    GT_TRY(list(root, "tensors", GT_CKPT_MAX_TENSORS, sizeof *m->tensor, &v, &m->tensor));
    for (const gt_json *e = v->child; e; e = e->next) GT_TRY(read_tensor(entry(root, e), &m->tensor[n++]));
    GT_TRY(check_names(root->where, "tensor", &m->tensor->name, sizeof *m->tensor, n));
    m->state.tensor = m->tensor;
    m->state.tensor_count = n;
    m->elements = gt_ckpt_elements(&m->state);
    if (m->elements == SIZE_MAX) return GT_FAIL(GT_ERR_DATA, "%s: the tensors' sizes overflow", root->where);
    return GT_OK;
}

static gt_status read_file(gt_json_members o, gt_manifest_file *f)
{
    int64_t bytes;
    GT_TRY(gt_members_text(&o, "name", 255, &f->name));
    GT_TRY(gt_members_int64(&o, "bytes", 0, INT64_MAX, &bytes));
    f->bytes = (uint64_t)bytes;
    GT_TRY(gt_members_digest(&o, "sha256", &f->sha256));
    if (strcmp(f->name, GT_MANIFEST_NAME) == 0)
        return GT_FAIL(GT_ERR_DATA, "%s: lists itself among the files", o.where);
    return GT_OK;
}

static gt_status read_files(gt_manifest *m, gt_json_members *root)
{
    const gt_json *v;
    GT_TRY(list(root, "files", 1 << 17, sizeof *m->file, &v, &m->file));
    m->state_file = -1;
    for (const gt_json *e = v->child; e; e = e->next) {
        gt_manifest_file *f = &m->file[m->file_count];
        GT_TRY(read_file(entry(root, e), f));
        if (strcmp(f->name, GT_CKPT_STATE_NAME) == 0) m->state_file = m->file_count;
        m->file_count++;
    }
    GT_TRY(check_names(root->where, "file", &m->file->name, sizeof *m->file, m->file_count));
    /* Nothing in the files is compressed, so a size that is claimed must be there: what is allocated later is bounded
     * by what really lies on disk. */
    if (m->state_file >= 0 && m->file[m->state_file].bytes / 12 < m->elements)
        return GT_FAIL(GT_ERR_DATA, "%s: %s has %llu bytes, too few for three arrays of %zu floats", root->where,
                       GT_CKPT_STATE_NAME, (unsigned long long)m->file[m->state_file].bytes, m->elements);
    return GT_OK;
}

/* The numbers of the micro-batches that are finished ascend. */
static gt_status read_finished(gt_json_members *o, gt_manifest_part *p, const char *file)
{
    GT_TRY(gt_members_array(o, "finished", &p->finished));
    int64_t before = -1;
    for (const gt_json *v = p->finished->child; v; v = v->next) {
        if (!gt_json_is_int(v, before + 1, p->micro_batches - 1))
            return GT_FAIL(GT_ERR_DATA,
                           "%s: part '%s' finished micro-batch %g after %lld of %lld; expected ascending numbers",
                           o->where, file, v->number, (long long)before, (long long)p->micro_batches);
        before = v->integer;
        p->count++;
    }
    return GT_OK;
}

static gt_status read_part(gt_manifest *m, gt_manifest_part *p, gt_json_members o)
{
    const char *file;
    GT_TRY(gt_members_text(&o, "file", 255, &file));
    p->file = -1;
    for (int i = 0; i < m->file_count && p->file < 0; i++)
        if (strcmp(m->file[i].name, file) == 0) p->file = i;
    if (p->file < 0 || p->file == m->state_file)
        return GT_FAIL(GT_ERR_DATA, "%s: part '%s' is not among the files", o.where, file);
    GT_TRY(gt_members_int(&o, "rank", 0, INT32_MAX, &p->rank));
    GT_TRY(gt_members_int(&o, "shift", -1100, 1100, &p->shift));
    GT_TRY(gt_members_int(&o, "numbers", 0, GT_CKPT_NUMBERS, &p->numbers));
    GT_TRY(gt_members_text(&o, "names", 1000, &p->names));
    GT_TRY(digest_or_none(&o, "plan", &p->plan));
    GT_TRY(gt_members_int64(&o, "micro_batches", 1, INT32_MAX, &p->micro_batches));
    GT_TRY(read_finished(&o, p, file));
    if (m->file[p->file].bytes / 8 < m->elements + (size_t)p->numbers)
        return GT_FAIL(GT_ERR_DATA, "%s: part '%s' has %llu bytes, too few for sums of %zu numbers", o.where, file,
                       (unsigned long long)m->file[p->file].bytes, m->elements);
    return GT_OK;
}

static gt_status read_parts(gt_manifest *m, gt_json_members *root)
{
    const gt_json *v;
    GT_TRY(list(root, "parts", 1 << 16, sizeof *m->part, &v, &m->part));
    for (const gt_json *e = v->child; e; e = e->next) GT_TRY(read_part(m, &m->part[m->part_count++], entry(root, e)));
    return GT_OK;
}

/* The digest of the text with its own 64 digits taken as zeros. */
static gt_status check_self(const gt_json *root, const char *text, size_t size, const char *where)
{
    const gt_json *v = gt_json_get(root, "self");
    if (!v || v->type != GT_JSON_STRING || v->length != 64 || !gt_range_inside(v->offset, 66, size) ||
        memcmp(text + v->offset + 1, v->string, 64) != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: no digest of its own; not a manifest, or damaged", where);
    char zeros[64];
    memset(zeros, '0', sizeof zeros);
    gt_sha256 h;
    gt_sha256_init(&h);
    gt_sha256_add(&h, text, v->offset + 1);
    gt_sha256_add(&h, zeros, sizeof zeros);
    gt_sha256_add(&h, text + v->offset + 65, size - v->offset - 65);
    uint8_t digest[32];
    char hex[65];
    gt_sha256_end(&h, digest);
    gt_hex(hex, digest);
    if (memcmp(hex, v->string, 64) != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: damaged: its digest is %s, expected %s", where, hex, v->string);
    return GT_OK;
}

static gt_status read_all(gt_manifest *m, const char *text, size_t size, const char *where)
{
    const gt_json *json = gt_json_root(m->doc);
    gt_json_members root;
    int version;
    if (!gt_json_is_string(gt_json_get(json, "format"), "gemtune checkpoint"))
        return GT_FAIL(GT_ERR_DATA, "%s: not a manifest of a checkpoint", where);
    GT_TRY(check_self(json, text, size, where));
    GT_TRY(gt_members_open(&root, json, where, "manifest", refuse));
    GT_TRY(gt_members_int(&root, "version", GT_MANIFEST_VERSION, GT_MANIFEST_VERSION, &version));
    GT_TRY(read_state(m, &root, text));
    GT_TRY(read_tensors(m, &root));
    GT_TRY(read_files(m, &root));
    return read_parts(m, &root);
}

gt_status gt_manifest_parse(gt_manifest *out, const char *text, size_t size, const char *where)
{
    gt_manifest m;
    memset(&m, 0, sizeof m);
    GT_TRY(gt_json_parse(&m.doc, text, size, where));
    const gt_status st = read_all(&m, text, size, where);
    if (st != GT_OK) {
        gt_manifest_free(&m);
        return st;
    }
    *out = m;
    return GT_OK;
}

void gt_manifest_free(gt_manifest *m)
{
    gt_json_free(m->doc);
    free(m->tensor);
    free(m->file);
    free(m->part);
    for (int i = 0; i < 3; i++) free(m->texts[i]);
    memset(m, 0, sizeof *m);
}
