/* The directory's text to the struct. Every member that is expected must be there and no other may be: a newer
 * version's additions could change what the numbers mean. */
#include "gtq_meta.h"

#include "checked.h"
#include "hash.h"
#include "json_members.h"
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

static gt_status fault(const gt_json_members *o, const char *key, const char *expected)
{
    return GT_FAIL(GT_ERR_DATA, "%s: directory: %s: '%s' must be %s", o->where, o->name, key, expected);
}

static gt_status refuse(const gt_json_members *o, const gt_member_fault *f)
{
    static const char *const expected[] = {
        [GT_MEMBER_INT] = "an integer in range",      [GT_MEMBER_NUMBER] = "a number in range",
        [GT_MEMBER_BOOL] = "true or false",           [GT_MEMBER_TEXT] = "text that is not too long",
        [GT_MEMBER_DIGEST] = "64 hexadecimal digits", [GT_MEMBER_ARRAY] = "a list",
    };
    if (f->expected == GT_MEMBER_OBJECT)
        return GT_FAIL(GT_ERR_DATA, "%s: directory: %s must be an object", o->where, f->key);
    if (f->expected == GT_MEMBER_DIGEST && f->found && f->found->length == 64)
        return fault(o, f->key, "64 lower-case hexadecimal digits");
    return fault(o, f->key, expected[f->expected]);
}

static gt_status close_object(const gt_json_members *o)
{
    const uint32_t left = gt_members_left(o);
    if (left == 0) return GT_OK;
    return GT_FAIL(GT_ERR_DATA, "%s: directory: %s has %u members that this version does not know; a newer gemtune may",
                   o->where, o->name, left);
}

static gt_status take_float(gt_json_members *o, const char *key, double least, double most, float *out)
{
    double value;
    GT_TRY(gt_members_number(o, key, least, most, &value));
    *out = (float)value;
    return GT_OK;
}

static gt_status take_string(gt_json_members *o, const char *key, char *out, size_t size)
{
    const char *text;
    GT_TRY(gt_members_text(o, key, size - 1, &text));
    memcpy(out, text, strlen(text) + 1);
    return GT_OK;
}

static gt_status take_digest(gt_json_members *o, const char *key, uint8_t out[32])
{
    const char *hex;
    GT_TRY(gt_members_digest(o, key, &hex));
    gt_unhex(out, hex);
    return GT_OK;
}

/* [offset, bytes]; want 0: any size. */
static gt_status take_section(reader *r, gt_json_members *o, const char *key, uint64_t want, gt_gtq_section *out)
{
    const gt_json *v = gt_members_take(o, key);
    if (!v || v->type != GT_JSON_ARRAY || v->count != 2) return fault(o, key, "[offset, bytes]");
    const gt_json *a = v->child, *b = a->next;
    if (!gt_json_is_int(a, 0, INT64_MAX) || !gt_json_is_int(b, 1, INT64_MAX))
        return fault(o, key, "[offset, bytes] in positive integers");
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

static gt_status take_dtype(gt_json_members *o, const char *key, const gt_dtype *allowed, size_t count, gt_dtype *out)
{
    const gt_json *v = gt_members_take(o, key);
    for (size_t i = 0; v && i < count; i++) {
        if (!gt_json_is_string(v, gt_dtype_name(allowed[i]))) continue;
        *out = allowed[i];
        return GT_OK;
    }
    return fault(o, key, "a format that packed files hold");
}

static bool is_block(int n)
{
    return n >= 32 && n <= 4096 && (n & (n - 1)) == 0;
}

static gt_status read_fourbit(reader *r, gt_json_members *o, gt_gtq_tensor *t)
{
    static const gt_dtype rounds[] = {GT_BF16, GT_F16, GT_F32};
    GT_TRY(take_dtype(o, "round_to", rounds, 3, &t->round_to));
    GT_TRY(gt_members_int(o, "block", 32, 4096, &t->block));
    if (!is_block(t->block)) return fault(o, "block", "a power of two in 32 ... 4096");
    const bool nested = gt_json_get(o->object, "absmax8") != NULL;
    if (nested) {
        GT_TRY(gt_members_int(o, "block2", 32, 4096, &t->block2));
        if (!is_block(t->block2)) return fault(o, "block2", "a power of two in 32 ... 4096");
        GT_TRY(take_float(o, "offset", -3.4e38, 3.4e38, &t->offset));
    }
    const gt_gtq_section data = t->data;
    if (!gt_gtq_tensor_sizes(t, nested)) return fault(o, "shape", "one whose size fits");
    t->data = data;
    GT_TRY(take_section(r, o, "code", t->code.bytes, &t->code));
    if (!nested) return take_section(r, o, "absmax", t->absmax.bytes, &t->absmax);
    GT_TRY(take_section(r, o, "absmax8", t->absmax8.bytes, &t->absmax8));
    GT_TRY(take_section(r, o, "absmax2", t->absmax2.bytes, &t->absmax2));
    return take_section(r, o, "code2", t->code2.bytes, &t->code2);
}

static gt_status read_tensor(reader *r, gt_json_members *all, const char *name, int rows, int cols, gt_gtq_tensor *t)
{
    static const gt_dtype formats[] = {GT_BF16, GT_F32, GT_F16, GT_NF4, GT_FP4};
    gt_json_members o;
    const gt_json *json = gt_members_take(all, name);
    if (!json) return GT_FAIL(GT_ERR_DATA, "%s: directory: tensor '%s' is missing", r->where, name);
    GT_TRY(gt_members_open(&o, json, r->where, name, refuse));
    const gt_json *shape = gt_members_take(&o, "shape");
    if (!shape || shape->type != GT_JSON_ARRAY || shape->count != 2 || !gt_json_is_int(shape->child, rows, rows) ||
        !gt_json_is_int(shape->child->next, cols, cols))
        return GT_FAIL(GT_ERR_DATA, "%s: directory: %s: the config asks for shape [%d, %d]", r->where, name, rows,
                       cols);
    t->rows = rows;
    t->cols = cols;
    /* the embedding's codes are gathered row by row: element formats only */
    const bool embed = strcmp(name, "embed_tokens") == 0;
    GT_TRY(take_dtype(&o, "dtype", formats, embed ? 3 : 5, &t->dtype));
    t->round_to = t->dtype == GT_BF16 || t->dtype == GT_F16 ? t->dtype : GT_F32;
    t->block = t->block2 = 64; /* until read */
    if (!gt_gtq_tensor_sizes(t, false)) return fault(&o, "shape", "one whose size fits");
    GT_TRY(take_section(r, &o, "data", t->data.bytes, &t->data));
    if (gt_dtype_fourbit(t->dtype))
        GT_TRY(read_fourbit(r, &o, t));
    else
        t->block = t->block2 = 0;
    if (!t->absmax8.bytes) t->block2 = 0;
    GT_TRY(take_digest(&o, "sha256", t->sha256));
    return close_object(&o);
}

static gt_status read_eos(gt_json_members *o, gt_model_config *c)
{
    const gt_json *v = gt_members_take(o, "eos_token_ids");
    if (!v || v->type != GT_JSON_ARRAY || v->count > GT_MAX_EOS)
        return fault(o, "eos_token_ids", "a list of at most 16 ids");
    for (const gt_json *e = v->child; e; e = e->next) {
        if (!gt_json_is_int(e, 0, MAX_DIM - 1)) return fault(o, "eos_token_ids", "a list of ids");
        c->eos_id[c->eos_count++] = (int32_t)e->integer;
    }
    return GT_OK;
}

static gt_status read_layer_types(gt_json_members *o, gt_model_config *c)
{
    char types[GT_MAX_LAYERS + 1];
    GT_TRY(take_string(o, "layer_types", types, sizeof types));
    if (strlen(types) != (size_t)c->num_hidden_layers || strspn(types, "SF") != strlen(types))
        return fault(o, "layer_types", "one letter S or F for every layer");
    for (int i = 0; i < c->num_hidden_layers; i++) c->layer_is_full[i] = types[i] == 'F';
    return GT_OK;
}

static gt_status read_config(gt_json_members *root, gt_model_config *c)
{
    gt_json_members o;
    GT_TRY(gt_members_object(root, "config", &o));
    const struct {
        const char *key;
        int *value;
        int most;
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
        GT_TRY(gt_members_int(&o, sizes[i].key, 1, sizes[i].most, sizes[i].value));
    GT_TRY(take_float(&o, "rms_norm_eps", 1e-30, 1, &c->rms_norm_eps));
    GT_TRY(gt_members_number(&o, "query_pre_attn_scalar", 1e-6, 1e9, &c->query_pre_attn_scalar));
    GT_TRY(gt_members_number(&o, "rope_theta", 1e-6, 1e12, &c->rope_theta));
    GT_TRY(gt_members_number(&o, "rope_local_base_freq", 1e-6, 1e12, &c->rope_local_base_freq));
    GT_TRY(gt_members_number(&o, "rope_factor", 1e-6, 1e9, &c->rope_factor));
    GT_TRY(take_float(&o, "final_logit_softcapping", 0, 1e9, &c->final_logit_softcapping));
    GT_TRY(gt_members_bool(&o, "bidirectional", &c->bidirectional));
    GT_TRY(gt_members_bool(&o, "multimodal", &c->multimodal));
    GT_TRY(read_layer_types(&o, c));
    GT_TRY(gt_members_int(&o, "bos_token_id", -1, MAX_DIM, &c->bos_id));
    GT_TRY(gt_members_int(&o, "pad_token_id", -1, MAX_DIM, &c->pad_id));
    GT_TRY(read_eos(&o, c));
    GT_TRY(close_object(&o));
    return gt_model_config_check(c, root->where);
}

static gt_status read_info(gt_json_members *root, gt_gtq_meta *m)
{
    static const char *const prefixes[] = {"model.", "model.language_model.", ""};
    gt_gtq_info *i = &m->info;
    gt_json_members o;
    uint8_t digest[32];
    GT_TRY(take_string(root, "tool", i->tool, sizeof i->tool));
    GT_TRY(gt_members_object(root, "source", &o));
    GT_TRY(take_string(&o, "kind", i->source, sizeof i->source));
    GT_TRY(take_string(&o, "name", i->source_name, sizeof i->source_name));
    GT_TRY(close_object(&o));
    GT_TRY(gt_members_object(root, "quantizer", &o));
    GT_TRY(take_string(&o, "rule", i->quantizer.rule, sizeof i->quantizer.rule));
    GT_TRY(gt_members_bool(&o, "double_quant", &i->quantizer.double_quant));
    GT_TRY(gt_members_int(&o, "block", 32, 4096, &i->quantizer.block));
    GT_TRY(gt_members_int(&o, "block2", 0, 4096, &i->quantizer.block2));
    GT_TRY(close_object(&o));
    GT_TRY(take_digest(root, "identity", digest));
    gt_hex(i->identity, digest);
    GT_TRY(take_string(root, "prefix", m->prefix, sizeof m->prefix));
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++)
        if (strcmp(m->prefix, prefixes[p]) == 0) return GT_OK;
    return fault(root, "prefix", "one of a Gemma 3's module trees");
}

static gt_status read_extras(reader *r, gt_json_members *root, gt_gtq_meta *m)
{
    static const gt_dtype f32 = GT_F32;
    gt_dtype dtype;
    gt_json_members o;
    GT_TRY(gt_members_object(root, "norms", &o));
    GT_TRY(take_dtype(&o, "dtype", &f32, 1, &dtype));
    GT_TRY(take_section(r, &o, "data", gt_gtq_norm_count(&m->config) * sizeof(float), &m->norms));
    GT_TRY(take_digest(&o, "sha256", m->norms_sha256));
    GT_TRY(close_object(&o));
    const gt_json *tokenizer = gt_members_take(root, "tokenizer");
    if (tokenizer && tokenizer->type == GT_JSON_NULL) return GT_OK;
    char format[16];
    GT_TRY(gt_members_open(&o, tokenizer, r->where, "tokenizer", refuse));
    GT_TRY(take_string(&o, "format", format, sizeof format));
    if (strcmp(format, "gemtune") != 0) return fault(&o, "format", "\"gemtune\"");
    GT_TRY(take_section(r, &o, "data", 0, &m->tokenizer));
    GT_TRY(take_digest(&o, "sha256", m->tokenizer_sha256));
    return close_object(&o);
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
    gt_json_members root, tensors;
    GT_TRY(gt_members_open(&root, json, r->where, "the whole", refuse));
    GT_TRY(read_info(&root, m));
    GT_TRY(read_config(&root, &m->config));
    const size_t matrices = (size_t)m->config.num_hidden_layers * GT_PROJ_COUNT;
    r->capacity = 5 * (matrices + 1) + 2;
    m->proj = calloc(matrices, sizeof *m->proj);
    r->extent = calloc(r->capacity, sizeof *r->extent);
    if (!m->proj || !r->extent)
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a directory of %zu tensors", r->where, matrices);
    GT_TRY(read_extras(r, &root, m));
    GT_TRY(gt_members_object(&root, "tensors", &tensors));
    GT_TRY(read_tensor(r, &tensors, "embed_tokens", m->config.vocab_size, m->config.hidden_size, &m->embed));
    for (size_t i = 0; i < matrices; i++) {
        const gt_slot slot = gt_slot_at((int)i);
        char name[80];
        int rows, cols;
        gt_weights_proj_name(name, slot.layer, slot.proj);
        gt_proj_shape(&m->config, slot.proj, &rows, &cols);
        GT_TRY(read_tensor(r, &tensors, name, rows, cols, &m->proj[i]));
    }
    GT_TRY(close_object(&tensors));
    GT_TRY(close_object(&root));
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
