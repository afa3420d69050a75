#include "ckpt_manifest.h"

#include "checked.h"
#include "fs.h"
#include "hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Reading members: each says what was expected. */

typedef struct {
    const char *where;
    gt_status st; /* the first failure sticks */
} reader;

static const gt_json *member(reader *r, const gt_json *o, const char *key, gt_json_type type, const char *expected)
{
    if (r->st != GT_OK) return NULL;
    const gt_json *v = gt_json_get(o, key);
    if (!v || v->type != type) {
        r->st = GT_FAIL(GT_ERR_DATA, "%s: '%s' is %s; expected %s", r->where, key, v ? "of another type" : "absent",
                        expected);
        return NULL;
    }
    return v;
}

static int64_t integer(reader *r, const gt_json *o, const char *key, int64_t low, int64_t high)
{
    const gt_json *v = member(r, o, key, GT_JSON_NUMBER, "an integer");
    if (!v) return low;
    if (!v->is_integer || v->integer < low || v->integer > high) {
        r->st = GT_FAIL(GT_ERR_DATA, "%s: '%s' is %g; expected an integer from %lld to %lld", r->where, key, v->number,
                        (long long)low, (long long)high);
        return low;
    }
    return v->integer;
}

static const char *string(reader *r, const gt_json *o, const char *key, size_t longest)
{
    const gt_json *v = member(r, o, key, GT_JSON_STRING, "a string");
    if (!v) return "";
    if (v->length > longest || !gt_json_c_string(v)) {
        r->st = GT_FAIL(GT_ERR_DATA, "%s: '%s' is a string of %zu bytes; expected at most %zu, none of them zero",
                        r->where, key, v->length, longest);
        return "";
    }
    return v->string;
}

static bool is_hex64(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static const char *identity(reader *r, const gt_json *o, const char *key, bool may_be_empty)
{
    const char *s = string(r, o, key, 64);
    if (r->st == GT_OK && !is_hex64(s) && !(may_be_empty && !*s))
        r->st = GT_FAIL(GT_ERR_DATA, "%s: '%s' is '%s'; expected 64 lower-case hex digits", r->where, key, s);
    return s;
}

static uint64_t unsigned_text(reader *r, const gt_json *o, const char *key)
{
    const char *s = string(r, o, key, 20);
    uint64_t n = 0;
    bool good = *s != 0;
    for (const char *p = s; *p && good; p++)
        good = *p >= '0' && *p <= '9' && !__builtin_mul_overflow(n, (uint64_t)10, &n) &&
               !__builtin_add_overflow(n, (uint64_t)(*p - '0'), &n);
    if (r->st == GT_OK && !good)
        r->st = GT_FAIL(GT_ERR_DATA, "%s: '%s' is '%s'; expected a number below 2^64", r->where, key, s);
    return n;
}

/* The bytes of an object as they stand in the text: recipes are compared byte for byte. The text has been parsed, so
 * counting braces outside strings finds the end. */
static char *raw_object(reader *r, const gt_json *o, const char *key, const char *text)
{
    const gt_json *v = member(r, o, key, GT_JSON_OBJECT, "an object");
    if (!v) return NULL;
    const char *p = text + v->offset;
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
    char *copy = strndup(text + v->offset, (size_t)(p + 1 - (text + v->offset)));
    if (!copy) r->st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory", r->where);
    return copy;
}

static void read_state(reader *r, gt_manifest *m, const gt_json *root, const char *text)
{
    const gt_json *o = member(r, root, "state", GT_JSON_OBJECT, "an object");
    gt_train_state *s = &m->state;
    const char *id = identity(r, o, "id", false);
    memcpy(m->id, r->st == GT_OK ? id : "", r->st == GT_OK ? 65 : 1);
    s->step = integer(r, o, "step", 0, INT64_MAX);
    s->epoch = integer(r, o, "epoch", 0, INT64_MAX);
    s->window = integer(r, o, "window", 0, INT64_MAX);
    s->rows_seen = integer(r, o, "rows_seen", 0, INT64_MAX);
    s->tokens_seen = integer(r, o, "tokens_seen", 0, INT64_MAX);
    s->supervised_seen = integer(r, o, "supervised_seen", 0, INT64_MAX);
    s->seed = unsigned_text(r, o, "seed");
    s->world_size = (int)integer(r, o, "world_size", 1, INT32_MAX);
    s->best_eval_step = integer(r, o, "best_eval_step", -1, INT64_MAX);
    if (s->best_eval_step >= 0) {
        const gt_json *v = member(r, o, "best_eval_loss", GT_JSON_NUMBER, "a number");
        s->best_eval_loss = v ? v->number : 0;
    }
    s->dataset = identity(r, o, "dataset", false);
    s->base = identity(r, o, "base", false);
    s->tokenizer = identity(r, o, "tokenizer", true);
    s->numerics = string(r, o, "numerics", 200);
    s->tool = string(r, o, "tool", 200);
    s->recipe = m->texts[0] = raw_object(r, o, "recipe", text);
    s->metrics = m->texts[1] = raw_object(r, o, "metrics", text);
    s->extra = m->texts[2] = raw_object(r, o, "extra", text);
}

/* Lists. */

static const gt_json *list(reader *r, const gt_json *o, const char *key, uint32_t limit, size_t size, void *memory)
{
    const gt_json *v = member(r, o, key, GT_JSON_ARRAY, "an array");
    if (!v) return NULL;
    if (v->count > limit) {
        r->st = GT_FAIL(GT_ERR_DATA, "%s: '%s' has %u entries; at most %u are read", r->where, key, v->count, limit);
        return NULL;
    }
    void *p = calloc((size_t)v->count + 1, size);
    if (!p) r->st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for '%s'", r->where, key);
    memcpy(memory, &p, sizeof p);
    return p ? v : NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names are safe to use as links and file names, and each stands for one thing. */
static void check_names(reader *r, const char *what, const char **names, int count)
{
    if (r->st == GT_OK) qsort(names, (size_t)count, sizeof *names, by_text);
    for (int i = 0; i < count && r->st == GT_OK; i++) {
        if (!gt_fs_safe_name(names[i]))
            r->st = GT_FAIL(GT_ERR_DATA, "%s: %s name '%s'; expected 1 to 255 of A-Z a-z 0-9 . _ -", r->where, what,
                            names[i]);
        else if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
            r->st = GT_FAIL(GT_ERR_DATA, "%s: %s '%s' is listed twice", r->where, what, names[i]);
    }
}

size_t gt_ckpt_tensor_elements(const gt_ckpt_tensor *t)
{
    size_t n = 1;
    if (t->dims < 1 || t->dims > GT_CKPT_DIMS) return SIZE_MAX;
    for (int d = 0; d < t->dims; d++)
        if (t->shape[d] < 1 || !gt_mul_size(n, (size_t)t->shape[d], &n)) return SIZE_MAX;
    return n;
}

size_t gt_ckpt_elements(const gt_train_state *s)
{
    size_t total = 0;
    for (int i = 0; i < s->tensor_count; i++)
        if (!gt_add_size(total, gt_ckpt_tensor_elements(&s->tensor[i]), &total) || total > ((size_t)1 << 48))
            return SIZE_MAX;
    return total;
}

static void read_tensors(reader *r, gt_manifest *m, const gt_json *root)
{
    const gt_json *v = list(r, root, "tensors", GT_CKPT_MAX_TENSORS, sizeof *m->tensor, &m->tensor);
    const char **names = v ? calloc((size_t)v->count + 1, sizeof *names) : NULL;
    if (v && !names) r->st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for names", r->where);
    int n = 0;
    for (const gt_json *e = v ? v->child : NULL; e && r->st == GT_OK; e = e->next, n++) {
        gt_ckpt_tensor *t = &m->tensor[n];
        t->name = names[n] = string(r, e, "name", GT_CKPT_NAME);
        const gt_json *shape = member(r, e, "shape", GT_JSON_ARRAY, "an array");
        if (shape && (shape->count < 1 || shape->count > GT_CKPT_DIMS))
            r->st = GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has %u dimensions; expected 1 to %d", r->where, t->name,
                            shape->count, (int)GT_CKPT_DIMS);
        for (const gt_json *d = shape ? shape->child : NULL; d && r->st == GT_OK; d = d->next) {
            if (!d->is_integer || d->integer < 1)
                r->st = GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has a dimension of %g; expected >= 1", r->where, t->name,
                                d->number);
            else
                t->shape[t->dims++] = d->integer;
        }
    }
    check_names(r, "tensor", names, n);
    free(names);
    m->state.tensor = m->tensor;
    m->state.tensor_count = n;
    m->elements = gt_ckpt_elements(&m->state);
    if (r->st == GT_OK && m->elements == SIZE_MAX)
        r->st = GT_FAIL(GT_ERR_DATA, "%s: the tensors' sizes overflow", r->where);
}

static void read_files(reader *r, gt_manifest *m, const gt_json *root)
{
    const gt_json *v = list(r, root, "files", 1 << 17, sizeof *m->file, &m->file);
    const char **names = v ? calloc((size_t)v->count + 1, sizeof *names) : NULL;
    if (v && !names) r->st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for names", r->where);
    m->state_file = -1;
    int n = 0;
    for (const gt_json *e = v ? v->child : NULL; e && r->st == GT_OK; e = e->next, n++) {
        gt_manifest_file *f = &m->file[n];
        f->name = names[n] = string(r, e, "name", 255);
        f->bytes = (uint64_t)integer(r, e, "bytes", 0, INT64_MAX);
        f->sha256 = identity(r, e, "sha256", false);
        if (strcmp(f->name, GT_CKPT_STATE_NAME) == 0) m->state_file = n;
        if (r->st == GT_OK && strcmp(f->name, GT_MANIFEST_NAME) == 0)
            r->st = GT_FAIL(GT_ERR_DATA, "%s: lists itself among the files", r->where);
    }
    check_names(r, "file", names, n);
    free(names);
    m->file_count = n;
    /* Nothing in the files is compressed, so a size that is claimed must be there: what is allocated later is bounded
     * by what really lies on disk. */
    if (r->st == GT_OK && m->state_file >= 0 && m->file[m->state_file].bytes / 12 < m->elements)
        r->st = GT_FAIL(GT_ERR_DATA, "%s: %s has %llu bytes, too few for three arrays of %zu floats", r->where,
                        GT_CKPT_STATE_NAME, (unsigned long long)m->file[m->state_file].bytes, m->elements);
}

static void read_part(reader *r, gt_manifest *m, gt_manifest_part *p, const gt_json *e)
{
    const char *file = string(r, e, "file", 255);
    p->file = -1;
    for (int i = 0; i < m->file_count && p->file < 0; i++)
        if (strcmp(m->file[i].name, file) == 0) p->file = i;
    if (r->st == GT_OK && (p->file < 0 || p->file == m->state_file))
        r->st = GT_FAIL(GT_ERR_DATA, "%s: part '%s' is not among the files", r->where, file);
    p->rank = (int)integer(r, e, "rank", 0, INT32_MAX);
    p->shift = (int)integer(r, e, "shift", -1100, 1100);
    p->numbers = (int)integer(r, e, "numbers", 0, 64);
    p->names = string(r, e, "names", 1000);
    p->plan = identity(r, e, "plan", true);
    p->micro_batches = integer(r, e, "micro_batches", 1, INT32_MAX);
    p->finished = member(r, e, "finished", GT_JSON_ARRAY, "an array");
    int64_t before = -1;
    for (const gt_json *v = p->finished ? p->finished->child : NULL; v && r->st == GT_OK; v = v->next) {
        if (!v->is_integer || v->integer <= before || v->integer >= p->micro_batches)
            r->st = GT_FAIL(GT_ERR_DATA,
                            "%s: part '%s' finished micro-batch %g after %lld of %lld; expected ascending numbers",
                            r->where, file, v->number, (long long)before, (long long)p->micro_batches);
        before = v->integer;
        p->count++;
    }
    if (r->st == GT_OK && m->file[p->file].bytes / 8 < m->elements + (size_t)p->numbers)
        r->st = GT_FAIL(GT_ERR_DATA, "%s: part '%s' has %llu bytes, too few for sums of %zu numbers", r->where, file,
                        (unsigned long long)m->file[p->file].bytes, m->elements);
}

static void read_parts(reader *r, gt_manifest *m, const gt_json *root)
{
    const gt_json *v = list(r, root, "parts", 1 << 16, sizeof *m->part, &m->part);
    for (const gt_json *e = v ? v->child : NULL; e && r->st == GT_OK; e = e->next)
        read_part(r, m, &m->part[m->part_count++], e);
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

gt_status gt_manifest_parse(gt_manifest *out, const char *text, size_t size, const char *where)
{
    gt_manifest m;
    memset(&m, 0, sizeof m);
    GT_TRY(gt_json_parse(&m.doc, text, size, where));
    const gt_json *root = gt_json_root(m.doc);
    reader r = {where, GT_OK};
    if (root->type != GT_JSON_OBJECT || !gt_json_is_string(gt_json_get(root, "format"), "gemtune checkpoint"))
        r.st = GT_FAIL(GT_ERR_DATA, "%s: not a manifest of a checkpoint", where);
    if (r.st == GT_OK) r.st = check_self(root, text, size, where);
    integer(&r, root, "version", GT_MANIFEST_VERSION, GT_MANIFEST_VERSION);
    read_state(&r, &m, root, text);
    read_tensors(&r, &m, root);
    read_files(&r, &m, root);
    read_parts(&r, &m, root);
    if (r.st != GT_OK) {
        gt_manifest_free(&m);
        return r.st;
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
