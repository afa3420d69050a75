#include "weights_bnb.h"

#include "json.h"
#include "json_config.h"
#include "log.h"

#include <cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 512, MAX_STATE = 1 << 16 };

gt_status gt_weights_aligned(const void **out, gt_weights *w, const gt_tensor_set *set, const gt_safetensor *t,
                             size_t alignment)
{
    if ((uintptr_t)t->data % alignment == 0) {
        *out = t->data;
        return GT_OK;
    }
    void *copy;
    gt_log(GT_DEBUG, "weights", "%s: tensor '%s' is not aligned", gt_tensor_set_where(set, t), t->name);
    GT_TRY(gt_weights_buffer(w, &copy, t->bytes));
    memcpy(copy, t->data, t->bytes);
    gt_weights_note_copy(w, t->bytes);
    *out = copy;
    return GT_OK;
}

static gt_status check_config(const cJSON *root, const char *where)
{
    const cJSON *q = gt_config_get(root, "quantization_config");
    if (!q) return GT_OK;
    const cJSON *method = gt_config_get(q, "quant_method");
    if (!gt_config_is_string(method, "bitsandbytes"))
        return GT_FAIL(GT_ERR_DATA,
                       "%s: quantization_config.quant_method '%.60s' is not supported: expected "
                       "\"bitsandbytes\" in 4 bits, or a model that is not quantized",
                       where, gt_config_shown(method));
    if (cJSON_IsTrue(gt_config_get(q, "load_in_8bit")))
        return GT_FAIL(GT_ERR_DATA, "%s: quantization_config.load_in_8bit is not supported: 4 bits are", where);
    return GT_OK;
}

gt_status gt_bnb_check_config(const char *text, size_t bytes, const char *where)
{
    cJSON *root;
    GT_TRY(gt_config_parse(&root, text, bytes, where));
    const gt_status st = check_config(root, where);
    cJSON_Delete(root);
    return st;
}

static const gt_safetensor *part(gt_tensor_set *set, const char *name, const char *suffix)
{
    char full[NAME];
    snprintf(full, sizeof full, "%s.%s", name, suffix);
    return gt_tensor_set_take(set, full);
}

bool gt_bnb_is_packed(const gt_tensor_set *set, const char *name)
{
    char full[NAME];
    snprintf(full, sizeof full, "%s.quant_state.bitsandbytes__nf4", name);
    if (gt_tensor_set_find(set, full)) return true;
    snprintf(full, sizeof full, "%s.quant_state.bitsandbytes__fp4", name);
    return gt_tensor_set_find(set, full) != NULL;
}

typedef struct {
    gt_dtype type, round_to;
    int block, block2;
    bool nested;
    double offset;
    int64_t shape[2];
} quant_state;

static gt_status bad_state(const char *where, const char *name, const char *field, const char *expected)
{
    return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s': quant_state field %s: expected %s", where, name, field, expected);
}

static bool block_size(const gt_json *v, int *out)
{
    if (!v || !gt_json_is_int(v, 32, 4096) || (v->integer & (v->integer - 1)) != 0) return false;
    *out = (int)v->integer;
    return true;
}

static gt_status parse_state(quant_state *s, const gt_json *root, const char *where, const char *name)
{
    static const char *const known[] = {"quant_type",       "blocksize",    "dtype",        "shape",
                                        "nested_blocksize", "nested_dtype", "nested_offset"};
    if (root->type != GT_JSON_OBJECT) return bad_state(where, name, "(all)", "a JSON object");
    for (const gt_json *m = root->child; m; m = m->next) {
        size_t k = 0;
        while (k < sizeof known / sizeof *known && strcmp(m->key, known[k]) != 0) k++;
        if (k == sizeof known / sizeof *known) return bad_state(where, name, m->key, "no such field");
    }
    const gt_json *type = gt_json_get(root, "quant_type"), *dtype = gt_json_get(root, "dtype");
    const gt_json *shape = gt_json_get(root, "shape");
    if (!gt_json_is_string(type, s->type == GT_NF4 ? "nf4" : "fp4"))
        return bad_state(where, name, "quant_type", "what the tensor's name says");
    if (!block_size(gt_json_get(root, "blocksize"), &s->block))
        return bad_state(where, name, "blocksize", "a power of two from 32 to 4096");
    if (gt_json_is_string(dtype, "bfloat16"))
        s->round_to = GT_BF16;
    else if (gt_json_is_string(dtype, "float16"))
        s->round_to = GT_F16;
    else if (gt_json_is_string(dtype, "float32"))
        s->round_to = GT_F32;
    else
        return bad_state(where, name, "dtype", "\"bfloat16\", \"float16\" or \"float32\"");
    if (!shape || shape->type != GT_JSON_ARRAY || shape->count != 2 ||
        !gt_json_is_int(shape->child, INT64_MIN, INT64_MAX) ||
        !gt_json_is_int(shape->child->next, INT64_MIN, INT64_MAX))
        return bad_state(where, name, "shape", "[out, in]");
    s->shape[0] = shape->child->integer;
    s->shape[1] = shape->child->next->integer;

    const gt_json *block2 = gt_json_get(root, "nested_blocksize"), *dtype2 = gt_json_get(root, "nested_dtype");
    const gt_json *offset = gt_json_get(root, "nested_offset");
    s->nested = block2 || dtype2 || offset;
    if (!s->nested) return GT_OK;
    if (!block_size(block2, &s->block2))
        return bad_state(where, name, "nested_blocksize", "a power of two from 32 to 4096");
    if (!gt_json_is_string(dtype2, "float32")) return bad_state(where, name, "nested_dtype", "\"float32\"");
    if (!offset || offset->type != GT_JSON_NUMBER || !isfinite((float)offset->number))
        return bad_state(where, name, "nested_offset", "a number");
    s->offset = offset->number;
    return GT_OK;
}

static gt_status read_state(quant_state *s, gt_tensor_set *set, const gt_safetensor *weight)
{
    const gt_safetensor *nf4 = part(set, weight->name, "quant_state.bitsandbytes__nf4");
    const gt_safetensor *fp4 = part(set, weight->name, "quant_state.bitsandbytes__fp4");
    const gt_safetensor *t = nf4 ? nf4 : fp4;
    const char *where = gt_tensor_set_where(set, weight);
    gt_json_doc *doc;
    if (nf4 && fp4) return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' has two quant_states", where, weight->name);
    if (t->dtype != GT_U8 || t->bytes > MAX_STATE)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' is %s of %zu bytes, expected U8 JSON text", where, t->name,
                       t->dtype_name, t->bytes);
    s->type = nf4 ? GT_NF4 : GT_FP4;
    GT_TRY(gt_json_parse(&doc, t->data, t->bytes, where));
    gt_status st = parse_state(s, gt_json_root(doc), where, weight->name);
    gt_json_free(doc);
    return st;
}

/* A companion tensor of a dtype and a number of elements, aligned. */
static gt_status companion(const void **out, gt_weights *w, gt_tensor_set *set, const gt_safetensor *weight,
                           const char *suffix, gt_dtype dtype, size_t elements)
{
    const gt_safetensor *t = part(set, weight->name, suffix);
    if (!t)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s.%s' is missing", gt_tensor_set_where(set, weight), weight->name,
                       suffix);
    if (t->dtype != dtype || t->elements != elements)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' is %s with %zu elements, expected %s with %zu",
                       gt_tensor_set_where(set, t), t->name, t->dtype_name, t->elements, gt_dtype_name(dtype),
                       elements);
    return gt_weights_aligned(out, w, set, t, (size_t)gt_dtype_block_bytes(dtype));
}

gt_status gt_bnb_matrix(gt_matrix *out, gt_weights *w, gt_tensor_set *set, const char *name, int rows, int cols)
{
    const gt_safetensor *t = gt_tensor_set_take(set, name);
    if (!t) return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' is missing beside its quant_state", w->path, name);
    const char *where = gt_tensor_set_where(set, t);
    quant_state s = {0};
    GT_TRY(read_state(&s, set, t));
    if (s.shape[0] != rows || s.shape[1] != cols)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s': quant_state says [%lld, %lld], the config needs [%d, %d]", where,
                       name, (long long)s.shape[0], (long long)s.shape[1], rows, cols);
    const size_t n = (size_t)rows * (size_t)cols, blocks = (n + (size_t)s.block - 1) / (size_t)s.block;
    /* Any storage dtype: the bytes are the same, grouped otherwise. */
    if (t->bytes != (n + 1) / 2)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%s' holds %zu bytes of codes, [%d, %d] needs %zu", where, name,
                       t->bytes, rows, cols, (n + 1) / 2);
    gt_matrix m = {
        .data = t->data, .dtype = s.type, .rows = rows, .cols = cols, .block = s.block, .round_to = s.round_to};
    const void *p;
    GT_TRY(companion(&p, w, set, t, "quant_map", GT_F32, 16));
    m.code = p;
    if (!s.nested) {
        GT_TRY(companion(&p, w, set, t, "absmax", GT_F32, blocks));
        m.absmax = p;
    } else {
        m.block2 = s.block2;
        m.offset = (float)s.offset;
        GT_TRY(companion(&p, w, set, t, "absmax", GT_U8, blocks));
        m.absmax8 = p;
        GT_TRY(companion(&p, w, set, t, "nested_absmax", GT_F32, (blocks + (size_t)s.block2 - 1) / (size_t)s.block2));
        m.absmax2 = p;
        GT_TRY(companion(&p, w, set, t, "nested_quant_map", GT_F32, 256));
        m.code2 = p;
    }
    *out = m;
    return GT_OK;
}
