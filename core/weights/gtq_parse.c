/* The directory's text to the struct. Every member that is expected must be there and no other may be: a newer
 * version's additions could change what the numbers mean. */
#include "gtq_meta.h"

#include "checked.h"
#include "json.h"
#include "weights_sources.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIM = 1 << 30 };

/* A section with its use: tensors may share a code book. */
typedef struct {
    gt_gtq_section at;
    bool book;
} gt_gtq_extent;

typedef struct {
    const char *where;
    uint64_t end;          /* sections lie below */
    gt_gtq_extent *extent; /* [count] all that tensors name */
    size_t count, capacity;
} reader;

/* An object being read: counts what was taken, so that what is left over shows. */
typedef struct {
    const gt_json *json;
    const char *name;
    uint32_t taken;
} object;

static gt_status fault(const reader *r, const object *o, const char *key, const char *expected)
{
    return GT_FAIL(GT_ERR_DATA, "%s: directory: %s: '%s' must be %s", r->where, o->name, key, expected);
}

static gt_status open_object(const reader *r, object *o, const gt_json *json, const char *name)
{
    *o = (object){json, name, 0};
    return json && json->type == GT_JSON_OBJECT
               ? GT_OK
               : GT_FAIL(GT_ERR_DATA, "%s: directory: %s must be an object", r->where, name);
}

static gt_status close_object(const reader *r, const object *o)
{
    if (o->taken == o->json->count) return GT_OK;
    return GT_FAIL(GT_ERR_DATA, "%s: directory: %s has %u members that this version does not know; a newer gemtune may",
                   r->where, o->name, o->json->count - o->taken);
}

static const gt_json *take(object *o, const char *key)
{
    const gt_json *v = gt_json_get(o->json, key);
    o->taken += v != NULL;
    return v;
}

static gt_status take_int(const reader *r, object *o, const char *key, int64_t least, int64_t most, int *out)
{
    const gt_json *v = take(o, key);
    if (!v || v->type != GT_JSON_NUMBER || !v->is_integer || v->integer < least || v->integer > most)
        return fault(r, o, key, "an integer in range");
    *out = (int)v->integer;
    return GT_OK;
}

static gt_status take_number(const reader *r, object *o, const char *key, double least, double most, double *out)
{
    const gt_json *v = take(o, key);
    if (!v || v->type != GT_JSON_NUMBER || !(v->number >= least && v->number <= most))
        return fault(r, o, key, "a number in range");
    *out = v->number;
    return GT_OK;
}

static gt_status take_float(const reader *r, object *o, const char *key, double least, double most, float *out)
{
    double value;
    GT_TRY(take_number(r, o, key, least, most, &value));
    *out = (float)value;
    return GT_OK;
}

static gt_status take_bool(const reader *r, object *o, const char *key, bool *out)
{
    const gt_json *v = take(o, key);
    if (!v || (v->type != GT_JSON_TRUE && v->type != GT_JSON_FALSE)) return fault(r, o, key, "true or false");
    *out = v->type == GT_JSON_TRUE;
    return GT_OK;
}

static gt_status take_string(const reader *r, object *o, const char *key, char *out, size_t size)
{
    const gt_json *v = take(o, key);
    if (!v || v->type != GT_JSON_STRING || !gt_json_c_string(v) || v->length >= size)
        return fault(r, o, key, "text that is not too long");
    memcpy(out, v->string, v->length + 1);
    return GT_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static gt_status take_digest(const reader *r, object *o, const char *key, uint8_t out[32])
{
    const gt_json *v = take(o, key);
    if (!v || v->type != GT_JSON_STRING || v->length != 64) return fault(r, o, key, "64 hexadecimal digits");
    for (int i = 0; i < 32; i++) {
        const int high = hex_digit(v->string[2 * i]), low = hex_digit(v->string[2 * i + 1]);
        if (high < 0 || low < 0) return fault(r, o, key, "64 lower-case hexadecimal digits");
        out[i] = (uint8_t)(high << 4 | low);
    }
    return GT_OK;
}

/* [offset, bytes]; want 0: any size. */
static gt_status take_section(reader *r, object *o, const char *key, uint64_t want, gt_gtq_section *out)
{
    const gt_json *v = take(o, key);
    if (!v || v->type != GT_JSON_ARRAY || v->count != 2) return fault(r, o, key, "[offset, bytes]");
    const gt_json *a = v->child, *b = a->next;
    if (a->type != GT_JSON_NUMBER || b->type != GT_JSON_NUMBER || !a->is_integer || !b->is_integer || a->integer < 0 ||
        b->integer <= 0)
        return fault(r, o, key, "[offset, bytes] in positive integers");
    *out = (gt_gtq_section){(uint64_t)a->integer, (uint64_t)b->integer};
    if (want && out->bytes != want)
        return GT_FAIL(GT_ERR_DATA, "%s: directory: %s: '%s' has %llu bytes; its shape and format ask for %llu",
                       r->where, o->name, key, (unsigned long long)out->bytes, (unsigned long long)want);
    if (out->offset % GT_GTQ_ALIGN != 0 || out->offset < GT_GTQ_DATA ||
        !gt_range_inside(out->offset, out->bytes, r->end))
        return GT_FAIL(GT_ERR_DATA,
                       "%s: directory: %s: '%s' lies at [%llu, %llu + %llu); expected a multiple of %d in [%d, %llu)",
                       r->where, o->name, key, (unsigned long long)out->offset, (unsigned long long)out->offset,
                       (unsigned long long)out->bytes, GT_GTQ_ALIGN, GT_GTQ_DATA, (unsigned long long)r->end);
    if (r->count == r->capacity) return GT_FAIL(GT_ERR_INTERNAL, "more sections than a directory can have");
    r->extent[r->count++] = (gt_gtq_extent){*out, strncmp(key, "code", 4) == 0};
    return GT_OK;
}

static gt_status take_dtype(const reader *r, object *o, const char *key, const gt_dtype *allowed, size_t count,
                            gt_dtype *out)
{
    const gt_json *v = take(o, key);
    for (size_t i = 0; v && i < count; i++) {
        if (!gt_json_is_string(v, gt_dtype_name(allowed[i]))) continue;
        *out = allowed[i];
        return GT_OK;
    }
    return fault(r, o, key, "a format that packed files hold");
}

static bool is_block(int n)
{
    return n >= 32 && n <= 4096 && (n & (n - 1)) == 0;
}

static gt_status read_fourbit(reader *r, object *o, gt_gtq_tensor *t)
{
    static const gt_dtype rounds[] = {GT_BF16, GT_F16, GT_F32};
    GT_TRY(take_dtype(r, o, "round_to", rounds, 3, &t->round_to));
    GT_TRY(take_int(r, o, "block", 32, 4096, &t->block));
    if (!is_block(t->block)) return fault(r, o, "block", "a power of two in 32 ... 4096");
    const bool nested = gt_json_get(o->json, "absmax8") != NULL;
    if (nested) {
        GT_TRY(take_int(r, o, "block2", 32, 4096, &t->block2));
        if (!is_block(t->block2)) return fault(r, o, "block2", "a power of two in 32 ... 4096");
        GT_TRY(take_float(r, o, "offset", -3.4e38, 3.4e38, &t->offset));
    }
    const gt_gtq_section data = t->data;
    if (!gt_gtq_tensor_sizes(t, nested)) return fault(r, o, "shape", "one whose size fits");
    t->data = data;
    GT_TRY(take_section(r, o, "code", t->code.bytes, &t->code));
    if (!nested) return take_section(r, o, "absmax", t->absmax.bytes, &t->absmax);
    GT_TRY(take_section(r, o, "absmax8", t->absmax8.bytes, &t->absmax8));
    GT_TRY(take_section(r, o, "absmax2", t->absmax2.bytes, &t->absmax2));
    return take_section(r, o, "code2", t->code2.bytes, &t->code2);
}

static gt_status read_tensor(reader *r, object *all, const char *name, int rows, int cols, gt_gtq_tensor *t)
{
    static const gt_dtype formats[] = {GT_BF16, GT_F32, GT_F16, GT_NF4, GT_FP4};
    object o;
    const gt_json *json = take(all, name);
    if (!json) return GT_FAIL(GT_ERR_DATA, "%s: directory: tensor '%s' is missing", r->where, name);
    GT_TRY(open_object(r, &o, json, name));
    const gt_json *shape = take(&o, "shape");
    if (!shape || shape->type != GT_JSON_ARRAY || shape->count != 2 || shape->child->integer != rows ||
        shape->child->next->integer != cols || !shape->child->is_integer || !shape->child->next->is_integer)
        return GT_FAIL(GT_ERR_DATA, "%s: directory: %s: the config asks for shape [%d, %d]", r->where, name, rows,
                       cols);
    t->rows = rows;
    t->cols = cols;
    /* the embedding's codes are gathered row by row: element formats only */
    const bool embed = strcmp(name, "embed_tokens") == 0;
    GT_TRY(take_dtype(r, &o, "dtype", formats, embed ? 3 : 5, &t->dtype));
    t->round_to = t->dtype == GT_BF16 || t->dtype == GT_F16 ? t->dtype : GT_F32;
    t->block = t->block2 = 64; /* until read */
    if (!gt_gtq_tensor_sizes(t, false)) return fault(r, &o, "shape", "one whose size fits");
    GT_TRY(take_section(r, &o, "data", t->data.bytes, &t->data));
    if (gt_dtype_fourbit(t->dtype))
        GT_TRY(read_fourbit(r, &o, t));
    else
        t->block = t->block2 = 0;
    if (!t->absmax8.bytes) t->block2 = 0;
    GT_TRY(take_digest(r, &o, "sha256", t->sha256));
    return close_object(r, &o);
}

static gt_status read_eos(const reader *r, object *o, gt_model_config *c)
{
    const gt_json *v = take(o, "eos_token_ids");
    if (!v || v->type != GT_JSON_ARRAY || v->count > GT_MAX_EOS)
        return fault(r, o, "eos_token_ids", "a list of at most 16 ids");
    for (const gt_json *e = v->child; e; e = e->next) {
        if (e->type != GT_JSON_NUMBER || !e->is_integer || e->integer < 0 || e->integer >= MAX_DIM)
            return fault(r, o, "eos_token_ids", "a list of ids");
        c->eos_id[c->eos_count++] = (int32_t)e->integer;
    }
    return GT_OK;
}

static gt_status read_layer_types(const reader *r, object *o, gt_model_config *c)
{
    char types[GT_MAX_LAYERS + 1];
    GT_TRY(take_string(r, o, "layer_types", types, sizeof types));
    if (strlen(types) != (size_t)c->num_hidden_layers || strspn(types, "SF") != strlen(types))
        return fault(r, o, "layer_types", "one letter S or F for every layer");
    for (int i = 0; i < c->num_hidden_layers; i++) c->layer_is_full[i] = types[i] == 'F';
    return GT_OK;
}

static gt_status read_config(const reader *r, object *root, gt_model_config *c)
{
    object o;
    GT_TRY(open_object(r, &o, take(root, "config"), "config"));
    const struct {
        const char *key;
        int *value;
        int64_t most;
    } sizes[] = {{"vocab_size", &c->vocab_size, MAX_DIM},
                 {"hidden_size", &c->hidden_size, 1 << 20},
                 {"intermediate_size", &c->intermediate_size, 1 << 22},
                 {"num_hidden_layers", &c->num_hidden_layers, GT_MAX_LAYERS},
                 {"num_attention_heads", &c->num_attention_heads, 1 << 12},
                 {"num_key_value_heads", &c->num_key_value_heads, 1 << 12},
                 {"head_dim", &c->head_dim, 1 << 12},
                 {"sliding_window", &c->sliding_window, INT32_MAX},
                 {"max_position_embeddings", &c->max_position_embeddings, INT32_MAX}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        GT_TRY(take_int(r, &o, sizes[i].key, 1, sizes[i].most, sizes[i].value));
    GT_TRY(take_float(r, &o, "rms_norm_eps", 1e-30, 1, &c->rms_norm_eps));
    GT_TRY(take_number(r, &o, "query_pre_attn_scalar", 1e-6, 1e9, &c->query_pre_attn_scalar));
    GT_TRY(take_number(r, &o, "rope_theta", 1e-6, 1e12, &c->rope_theta));
    GT_TRY(take_number(r, &o, "rope_local_base_freq", 1e-6, 1e12, &c->rope_local_base_freq));
    GT_TRY(take_number(r, &o, "rope_factor", 1e-6, 1e9, &c->rope_factor));
    GT_TRY(take_float(r, &o, "final_logit_softcapping", 0, 1e9, &c->final_logit_softcapping));
    GT_TRY(take_bool(r, &o, "bidirectional", &c->bidirectional));
    GT_TRY(take_bool(r, &o, "multimodal", &c->multimodal));
    GT_TRY(read_layer_types(r, &o, c));
    GT_TRY(take_int(r, &o, "bos_token_id", -1, MAX_DIM, &c->bos_id));
    GT_TRY(take_int(r, &o, "pad_token_id", -1, MAX_DIM, &c->pad_id));
    GT_TRY(read_eos(r, &o, c));
    GT_TRY(close_object(r, &o));
    return gt_model_config_check(c, r->where);
}

static gt_status read_info(const reader *r, object *root, gt_gtq_meta *m)
{
    static const char *const prefixes[] = {"model.", "model.language_model.", ""};
    gt_gtq_info *i = &m->info;
    object o;
    uint8_t digest[32];
    GT_TRY(take_string(r, root, "tool", i->tool, sizeof i->tool));
    GT_TRY(open_object(r, &o, take(root, "source"), "source"));
    GT_TRY(take_string(r, &o, "kind", i->source, sizeof i->source));
    GT_TRY(take_string(r, &o, "name", i->source_name, sizeof i->source_name));
    GT_TRY(close_object(r, &o));
    GT_TRY(open_object(r, &o, take(root, "quantizer"), "quantizer"));
    GT_TRY(take_string(r, &o, "rule", i->quantizer.rule, sizeof i->quantizer.rule));
    GT_TRY(take_bool(r, &o, "double_quant", &i->quantizer.double_quant));
    GT_TRY(take_int(r, &o, "block", 32, 4096, &i->quantizer.block));
    GT_TRY(take_int(r, &o, "block2", 0, 4096, &i->quantizer.block2));
    GT_TRY(close_object(r, &o));
    GT_TRY(take_digest(r, root, "identity", digest));
    gt_hex(i->identity, digest);
    GT_TRY(take_string(r, root, "prefix", m->prefix, sizeof m->prefix));
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++)
        if (strcmp(m->prefix, prefixes[p]) == 0) return GT_OK;
    return fault(r, root, "prefix", "one of a Gemma 3's module trees");
}

static gt_status read_extras(reader *r, object *root, gt_gtq_meta *m)
{
    static const gt_dtype f32 = GT_F32;
    gt_dtype dtype;
    object o;
    GT_TRY(open_object(r, &o, take(root, "norms"), "norms"));
    GT_TRY(take_dtype(r, &o, "dtype", &f32, 1, &dtype));
    GT_TRY(take_section(r, &o, "data", gt_gtq_norm_count(&m->config) * sizeof(float), &m->norms));
    GT_TRY(take_digest(r, &o, "sha256", m->norms_sha256));
    GT_TRY(close_object(r, &o));
    const gt_json *tokenizer = take(root, "tokenizer");
    if (tokenizer && tokenizer->type == GT_JSON_NULL) return GT_OK;
    char format[16];
    GT_TRY(open_object(r, &o, tokenizer, "tokenizer"));
    GT_TRY(take_string(r, &o, "format", format, sizeof format));
    if (strcmp(format, "gemtune") != 0) return fault(r, &o, "format", "\"gemtune\"");
    GT_TRY(take_section(r, &o, "data", 0, &m->tokenizer));
    GT_TRY(take_digest(r, &o, "sha256", m->tokenizer_sha256));
    return close_object(r, &o);
}

static int by_offset(const void *a, const void *b)
{
    const gt_gtq_section *x = &((const gt_gtq_extent *)a)->at, *y = &((const gt_gtq_extent *)b)->at;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* No two sections share a byte, but for code books, which may be the very same section. */
static gt_status check_overlap(reader *r)
{
    qsort(r->extent, r->count, sizeof *r->extent, by_offset);
    for (size_t i = 1; i < r->count; i++) {
        const gt_gtq_extent *a = &r->extent[i - 1], *b = &r->extent[i];
        const bool shared = a->book && b->book && a->at.offset == b->at.offset && a->at.bytes == b->at.bytes;
        if (!shared && b->at.offset - a->at.offset < a->at.bytes)
            return GT_FAIL(GT_ERR_DATA, "%s: directory: the sections at %llu and %llu overlap", r->where,
                           (unsigned long long)a->at.offset, (unsigned long long)b->at.offset);
    }
    return GT_OK;
}

static gt_status read_root(reader *r, const gt_json *json, gt_gtq_meta *m)
{
    object root, tensors;
    GT_TRY(open_object(r, &root, json, "the whole"));
    GT_TRY(read_info(r, &root, m));
    GT_TRY(read_config(r, &root, &m->config));
    const size_t matrices = (size_t)m->config.num_hidden_layers * GT_PROJ_COUNT;
    r->capacity = 5 * (matrices + 1) + 2;
    m->proj = calloc(matrices, sizeof *m->proj);
    r->extent = calloc(r->capacity, sizeof *r->extent);
    if (!m->proj || !r->extent)
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a directory of %zu tensors", r->where, matrices);
    GT_TRY(read_extras(r, &root, m));
    GT_TRY(open_object(r, &tensors, take(&root, "tensors"), "tensors"));
    GT_TRY(read_tensor(r, &tensors, "embed_tokens", m->config.vocab_size, m->config.hidden_size, &m->embed));
    for (size_t i = 0; i < matrices; i++) {
        const gt_slot slot = gt_slot_at((int)i);
        char name[80];
        int rows, cols;
        gt_weights_proj_name(name, slot.layer, slot.proj);
        gt_proj_shape(&m->config, slot.proj, &rows, &cols);
        GT_TRY(read_tensor(r, &tensors, name, rows, cols, &m->proj[i]));
    }
    GT_TRY(close_object(r, &tensors));
    GT_TRY(close_object(r, &root));
    return check_overlap(r);
}

gt_status gt_gtq_meta_parse(gt_gtq_meta *m, const char *text, size_t size, uint64_t end, const char *where)
{
    gt_json_doc *doc = NULL;
    GT_TRY(gt_json_parse(&doc, text, size, where));
    reader r = {.where = where, .end = end};
    *m = (gt_gtq_meta){0};
    gt_status st = read_root(&r, gt_json_root(doc), m);
    m->end = end;
    m->info.file_bytes = end + size;
    free(r.extent);
    gt_json_free(doc);
    if (st != GT_OK) gt_gtq_meta_free(m);
    return st;
}
