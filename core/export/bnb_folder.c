#include "bnb_folder.h"

#include "hf_folder.h"
#include "hf_norms.h"
#include "nf4.h"
#include "output_folder.h"
#include "text.h"
#include "weights_sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The tensors that a packed weight is stored as. */
enum { PART_CODES, PART_ABSMAX, PART_BOOK, PART_ABSMAX2, PART_BOOK2, PART_STATE, PARTS };

typedef struct {
    const gt_weights *w;
    gt_text *state; /* [layers * GT_PROJ_COUNT] quant_state of each */
    gt_hf_tensor *tensor;
    size_t count;
} plan;

static size_t elements(const gt_matrix *m)
{
    return (size_t)m->rows * (size_t)m->cols;
}

/* A double as Python's json.dumps prints it: repr, the shortest digits that read back, with an exponent below 1e-4. */
static void add_python_float(gt_text *t, double v)
{
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision - 1, v);
        if (strtod(digits, NULL) == v) break;
    }
    const char *e = strchr(digits, 'e');
    const int exponent = atoi(e + 1), places = (int)(e - digits) - (digits[0] == '-') - 2; /* digits behind the point */
    if (v == 0)
        gt_text_addf(t, "0.0");
    else if (exponent < -4 || exponent >= 16)
        gt_text_addf(t, "%.*se%s%02d", (int)(e - digits), digits, exponent < 0 ? "-" : "+", abs(exponent));
    else {
        const int behind = (places > 0 ? places : 0) - exponent;
        gt_text_addf(t, "%.*f", behind > 1 ? behind : 1, v);
    }
}

static const char *python_dtype(gt_dtype t)
{
    return t == GT_BF16 ? "bfloat16" : t == GT_F16 ? "float16" : "float32";
}

/* Keys in bitsandbytes' order, json.dumps' separators: these bytes are a tensor, the same as bitsandbytes writes. */
static void print_state(gt_text *t, const gt_matrix *m)
{
    gt_text_addf(t, "{\"quant_type\": \"%s\", \"blocksize\": %d, \"dtype\": \"%s\", \"shape\": [%d, %d]",
                 m->dtype == GT_NF4 ? "nf4" : "fp4", m->block, python_dtype(m->round_to), m->rows, m->cols);
    if (!m->absmax) {
        gt_text_addf(t, ", \"nested_blocksize\": %d, \"nested_dtype\": \"float32\", \"nested_offset\": ", m->block2);
        add_python_float(t, (double)m->offset);
    }
    gt_text_addf(t, "}");
}

static gt_hf_tensor *add(plan *p, int module, int part, gt_dtype dtype, uint64_t rows, uint64_t cols)
{
    gt_hf_tensor *t = &p->tensor[p->count++];
    *t = (gt_hf_tensor){.dtype = dtype, .rank = cols ? 2 : 1, .shape = {rows, cols}, .module = module, .part = part};
    return t;
}

static void add_projection(plan *p, int i)
{
    const gt_slot slot = gt_slot_at(i);
    const gt_matrix *m = gt_weights_slot(p->w, i);
    const size_t n = elements(m), nb = gt_nf4_blocks(n, (size_t)m->block);
    static const char *const suffix[PARTS] = {"", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ""};
    const bool nested = m->absmax == NULL;
    const struct {
        gt_dtype dtype;
        uint64_t rows, cols;
    } shape[PARTS] = {{GT_U8, (n + 1) / 2, 1}, {nested ? GT_U8 : GT_F32, nb, 0},
                      {GT_F32, 16, 0},         {GT_F32, nested ? gt_nf4_blocks(nb, (size_t)m->block2) : 0, 0},
                      {GT_F32, 256, 0},        {GT_U8, p->state[i].size, 0}};
    char module[80];
    gt_weights_proj_name(module, slot.layer, slot.proj);
    for (int part = 0; part < PARTS; part++) {
        if (!nested && (part == PART_ABSMAX2 || part == PART_BOOK2)) continue;
        gt_hf_tensor *t = add(p, i, part, shape[part].dtype, shape[part].rows, shape[part].cols);
        snprintf(t->name, sizeof t->name, "%s%s.weight%s%s", gt_hf_prefix(&p->w->config), module, suffix[part],
                 part != PART_STATE   ? ""
                 : m->dtype == GT_NF4 ? ".quant_state.bitsandbytes__nf4"
                                      : ".quant_state.bitsandbytes__fp4");
    }
}

/* Modules below 0 are the embedding and the norms (hf_norms.h). */
static gt_status make_plan(plan *p, const gt_weights *w)
{
    const gt_model_config *c = &w->config;
    const size_t matrices = (size_t)gt_slot_count(c);
    p->w = w;
    p->state = calloc(matrices, sizeof *p->state);
    p->tensor = calloc(matrices * PARTS + GT_HF_PLAIN_TENSORS(c), sizeof *p->tensor);
    if (!p->state || !p->tensor) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a list of its tensors", w->path);
    for (size_t i = 0; i < matrices; i++) {
        const gt_matrix *m = gt_weights_slot(w, (int)i);
        if (m->dtype != w->proj[0][0].dtype || !gt_dtype_fourbit(m->dtype) || !m->absmax != !w->proj[0][0].absmax)
            return GT_FAIL(GT_ERR_DATA, "%s: its projections are not 4-bit weights of one kind", w->path);
        print_state(&p->state[i], m);
        if (p->state[i].failed) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a quant_state", w->path);
    }
    p->count = gt_hf_plain_tensors(p->tensor, w, w->embed.dtype);
    for (size_t i = 0; i < matrices; i++) add_projection(p, (int)i);
    return GT_OK;
}

static gt_status produce(void *user, const gt_hf_tensor *t, gt_safetensors_writer *out)
{
    const plan *p = user;
    if (t->module < 0) return gt_hf_produce_plain(p->w, t, out);
    const gt_matrix *m = gt_weights_slot(p->w, t->module);
    const size_t n = elements(m), nb = gt_nf4_blocks(n, (size_t)m->block);
    switch (t->part) {
    case PART_CODES:
        return gt_safetensors_write(out, m->data, (n + 1) / 2);
    case PART_ABSMAX:
        return m->absmax ? gt_safetensors_write(out, m->absmax, nb * sizeof(float))
                         : gt_safetensors_write(out, m->absmax8, nb);
    case PART_BOOK:
        return gt_safetensors_write(out, m->code, 16 * sizeof(float));
    case PART_ABSMAX2:
        return gt_safetensors_write(out, m->absmax2, gt_nf4_blocks(nb, (size_t)m->block2) * sizeof(float));
    case PART_BOOK2:
        return gt_safetensors_write(out, m->code2, 256 * sizeof(float));
    default:
        return gt_safetensors_write(out, p->state[t->module].data, p->state[t->module].size);
    }
}

/* config.json's quantization_config, with the keys that transformers writes. */
static void add_quantization(gt_json_writer *w, gt_json_node *root, const void *projection)
{
    const gt_matrix *m = projection;
    gt_json_node *q = gt_json_add_object(w, root, "quantization_config");
    gt_json_add_bool(w, q, "_load_in_4bit", true);
    gt_json_add_bool(w, q, "_load_in_8bit", false);
    gt_json_add_text(w, q, "bnb_4bit_compute_dtype", python_dtype(m->round_to));
    gt_json_add_text(w, q, "bnb_4bit_quant_storage", "uint8");
    gt_json_add_text(w, q, "bnb_4bit_quant_type", m->dtype == GT_NF4 ? "nf4" : "fp4");
    gt_json_add_bool(w, q, "bnb_4bit_use_double_quant", !m->absmax);
    gt_json_add_bool(w, q, "llm_int8_enable_fp32_cpu_offload", false);
    gt_json_add_bool(w, q, "llm_int8_has_fp16_weight", false);
    gt_json_add_null(w, q, "llm_int8_skip_modules");
    gt_json_add_real(w, q, "llm_int8_threshold", 6);
    gt_json_add_bool(w, q, "load_in_4bit", true);
    gt_json_add_bool(w, q, "load_in_8bit", false);
    gt_json_add_text(w, q, "quant_method", "bitsandbytes");
}

gt_status gt_bnb_write(const char *folder, const gt_weights *w, const gt_weights *source, const gt_tokenizer *tokenizer,
                       bool replace)
{
    plan p = {0};
    gt_text config = {0};
    gt_output_folder out = {0};
    gt_status st = gt_output_folder_open(&out, folder, replace);
    if (st == GT_OK) st = make_plan(&p, w);
    if (st == GT_OK)
        st = gt_model_config_write(&config, &w->config, python_dtype(w->embed.dtype), add_quantization, &w->proj[0][0]);
    if (st == GT_OK) st = gt_hf_write_tensors(out.tmp, p.tensor, p.count, GT_HF_SHARD_BYTES, NULL, produce, &p);
    if (st == GT_OK) st = gt_hf_write_small_files(out.tmp, source, &config, tokenizer);
    if (st == GT_OK)
        st = gt_output_folder_publish(&out);
    else
        gt_output_folder_abandon(&out);
    for (int i = 0; p.state && i < gt_slot_count(&w->config); i++) gt_text_free(&p.state[i]);
    free(p.state);
    free(p.tensor);
    gt_text_free(&config);
    return st;
}
