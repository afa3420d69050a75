#include "hf_norms.h"

#include "checked.h"
#include "pack_nf4.h"
#include "weights_sources.h"

#include <stdio.h>
#include <string.h>

enum { MODULE_EMBED = -1, MODULE_FINAL_NORM = -2, MODULE_NORMS = -3 /* and below: layer * GT_NORM_COUNT + norm */ };

size_t gt_hf_plain_tensors(gt_hf_tensor *t, const gt_weights *w, gt_dtype dtype)
{
    const gt_model_config *c = &w->config;
    const char *prefix = gt_hf_prefix(c);
    size_t n = 0;
    t[n] = (gt_hf_tensor){.dtype = dtype,
                          .rank = 2,
                          .shape = {(uint64_t)c->vocab_size, (uint64_t)c->hidden_size},
                          .module = MODULE_EMBED};
    snprintf(t[n++].name, sizeof t->name, "%sembed_tokens.weight", prefix);
    for (int i = 0; i < c->num_hidden_layers * GT_NORM_COUNT; i++) {
        const gt_norm norm = (gt_norm)(i % GT_NORM_COUNT);
        char name[80];
        gt_weights_norm_name(name, i / GT_NORM_COUNT, norm);
        t[n] = (gt_hf_tensor){
            .dtype = dtype, .rank = 1, .shape = {(uint64_t)gt_weights_norm_size(c, norm)}, .module = MODULE_NORMS - i};
        snprintf(t[n++].name, sizeof t->name, "%s%s.weight", prefix, name);
    }
    t[n] = (gt_hf_tensor){.dtype = dtype, .rank = 1, .shape = {(uint64_t)c->hidden_size}, .module = MODULE_FINAL_NORM};
    snprintf(t[n++].name, sizeof t->name, "%snorm.weight", prefix);
    return n;
}

static gt_status write_values(gt_safetensors_writer *out, gt_dtype dtype, const float *value, size_t count)
{
    if (dtype == GT_F32) return gt_safetensors_write(out, value, count * sizeof *value);
    for (size_t i = 0; i < count; i += 1024) {
        uint16_t half[1024];
        const size_t n = gt_min_size(1024, count - i);
        for (size_t j = 0; j < n; j++)
            half[j] = dtype == GT_BF16 ? gt_f32_to_bf16(value[i + j]) : gt_f32_to_f16(value[i + j]);
        GT_TRY(gt_safetensors_write(out, half, n * sizeof *half));
    }
    return GT_OK;
}

static gt_status produce_embedding(const gt_matrix *e, gt_dtype dtype, gt_safetensors_writer *out)
{
    const size_t n = (size_t)e->rows * (size_t)e->cols;
    if (e->dtype == dtype) return gt_safetensors_write(out, e->data, n * (size_t)gt_dtype_block_bytes(dtype));
    for (size_t i = 0; i < n; i += 8192) {
        float value[8192];
        const size_t count = gt_min_size(8192, n - i);
        gt_pack_read(value, e, i, count);
        GT_TRY(write_values(out, dtype, value, count));
    }
    return GT_OK;
}

gt_status gt_hf_produce_plain(const gt_weights *w, const gt_hf_tensor *t, gt_safetensors_writer *out)
{
    if (t->module == MODULE_EMBED) return produce_embedding(&w->embed, t->dtype, out);
    const int i = MODULE_NORMS - t->module;
    const float *factor =
        t->module == MODULE_FINAL_NORM ? w->final_norm : w->norm[i / GT_NORM_COUNT][i % GT_NORM_COUNT];
    for (size_t j = 0; j < t->shape[0]; j += 256) {
        float value[256];
        const size_t count = gt_min_size(256, (size_t)t->shape[0] - j);
        /* exact: a factor 1 + w with w in bf16 gives a difference of at most 8 significant bits, and its sum is the
         * factor again */
        for (size_t k = 0; k < count; k++) value[k] = factor[j + k] - 1.0f;
        GT_TRY(write_values(out, t->dtype, value, count));
    }
    return GT_OK;
}
