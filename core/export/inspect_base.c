#include "inspect_base.h"

#include "gtq.h"
#include "hash.h"
#include "hub.h"
#include "tokenizer_source.h"
#include "weights_sources.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a matrix in its file, scales and code books included. */
static uint64_t matrix_bytes(const gt_matrix *m)
{
    const uint64_t n = (uint64_t)m->rows * (uint64_t)m->cols, per = (uint64_t)gt_dtype_block_elements(m->dtype);
    uint64_t bytes = (n + per - 1) / per * (uint64_t)gt_dtype_block_bytes(m->dtype);
    if (!gt_dtype_fourbit(m->dtype)) return bytes;
    const uint64_t blocks = (n + (uint64_t)m->block - 1) / (uint64_t)m->block;
    if (m->absmax) return bytes + 4 * blocks + 64;
    return bytes + blocks + 4 * ((blocks + (uint64_t)m->block2 - 1) / (uint64_t)m->block2) + 64 + 1024 + 4;
}

static void add_format(gt_text *out, const gt_matrix *m)
{
    gt_text_addf(out, "%s", gt_dtype_name(m->dtype));
    if (!gt_dtype_fourbit(m->dtype)) return;
    gt_text_addf(out, " (block %d, %s%s)", m->block, m->absmax ? "" : "nested, ", gt_dtype_name(m->round_to));
}

/* "q_proj Q5_0, k_proj Q8_0 ...": a projection's format, or how many layers have which. */
static void add_projections(gt_text *out, const gt_weights *w)
{
    for (int p = 0; p < GT_PROJ_COUNT; p++) {
        const gt_matrix *first = &w->proj[0][p];
        int same = 0;
        for (int l = 0; l < w->config.num_hidden_layers; l++) same += w->proj[l][p].dtype == first->dtype;
        gt_text_addf(out, "  %-12s [%d, %d] ", gt_proj_name((gt_proj)p), first->rows, first->cols);
        add_format(out, first);
        for (int l = 0; l < w->config.num_hidden_layers && same < w->config.num_hidden_layers; l++)
            if (w->proj[l][p].dtype != first->dtype) {
                gt_text_addf(out, " in %d layers, %s in layer %d%s", same, gt_dtype_name(w->proj[l][p].dtype), l,
                             same + 1 < w->config.num_hidden_layers ? " and others" : "");
                break;
            }
        gt_text_addf(out, "\n");
    }
}

static void add_config(gt_text *out, const gt_model_config *c)
{
    int full = 0;
    gt_text_addf(out, "  layers       %d: hidden %d, inner %d; full attention in", c->num_hidden_layers, c->hidden_size,
                 c->intermediate_size);
    for (int l = 0; l < c->num_hidden_layers; l++)
        if (c->layer_is_full[l]) gt_text_addf(out, "%s%d", full++ ? " " : " layers ", l);
    gt_text_addf(out, "%s\n", full ? "" : " none");
    gt_text_addf(out, "  attention    %d heads of %d over %d key/value heads, window %d, scale %g^-0.5%s\n",
                 c->num_attention_heads, c->head_dim, c->num_key_value_heads, c->sliding_window,
                 c->query_pre_attn_scalar, c->bidirectional ? ", bidirectional" : "");
    gt_text_addf(out, "  rotation     base %g", c->rope_theta);
    if (c->rope_factor != 1) gt_text_addf(out, " (positions / %g)", c->rope_factor);
    gt_text_addf(out, " in full layers, %g in sliding ones; %d positions\n", c->rope_local_base_freq,
                 c->max_position_embeddings);
    gt_text_addf(out, "  ids          begin %d, padding %d, end", c->bos_id, c->pad_id);
    for (int i = 0; i < c->eos_count; i++) gt_text_addf(out, " %d", c->eos_id[i]);
    gt_text_addf(out, "\n");
}

static void add_weights(gt_text *out, const gt_weights *w)
{
    const gt_model_config *c = &w->config;
    uint64_t bytes = matrix_bytes(&w->embed);
    for (int l = 0; l < c->num_hidden_layers; l++)
        for (int p = 0; p < GT_PROJ_COUNT; p++) bytes += matrix_bytes(&w->proj[l][p]);
    gt_text_addf(out, "  parameters   %" PRIu64 "; matrices ", gt_weights_parameters(w));
    gt_text_add_bytes(out, bytes);
    gt_text_addf(out, "\n  embedding    [%d, %d] ", w->embed.rows, w->embed.cols);
    add_format(out, &w->embed);
    gt_text_addf(out, ", ");
    gt_text_add_bytes(out, matrix_bytes(&w->embed));
    gt_text_addf(out, "\n");
    add_projections(out, w);
}

/* Rows of ids work without any. */
static void add_tokenizer(gt_text *out, const char *model)
{
    gt_tokenizer *t = NULL;
    if (gt_tokenizer_source_open(&t, model) != GT_OK) {
        gt_text_addf(out, "  tokenizer    unusable: %s\n", gt_error_last()->message);
        return;
    }
    if (!t) {
        gt_text_addf(out, "  tokenizer    none\n");
        return;
    }
    uint8_t digest[32];
    char hex[65];
    gt_tokenizer_sha256(t, digest);
    gt_hex(hex, digest);
    gt_text_addf(out, "  tokenizer    %d pieces, sha256 %s\n", gt_tokenizer_size(t), hex);
    gt_tokenizer_free(t);
}

/* What a .gtq says about its making. */
static void add_packed(gt_text *out, const gt_gtq_info *i)
{
    gt_text_addf(out, "  packed       by %s from %s (%s)\n", i->tool, i->source_name, i->source);
    gt_text_addf(out, "  quantizer    %s, block %d", i->quantizer.rule, i->quantizer.block);
    if (i->quantizer.double_quant) gt_text_addf(out, ", scales quantized again, block %d", i->quantizer.block2);
    gt_text_addf(out, "\n  file         ");
    gt_text_add_bytes(out, i->file_bytes);
    gt_text_addf(out, "\n");
}

static const char *source_name(const gt_weights *w)
{
    if (strcmp(w->source, "gguf") == 0) return "GGUF file";
    if (strcmp(w->source, "gtq") == 0) return "packed file";
    return w->config.multimodal ? "Hugging Face folder, text part of a multimodal model" : "Hugging Face folder";
}

gt_status gt_inspect_base(gt_text *out, const char *model)
{
    gt_weights *w = NULL;
    GT_TRY(gt_weights_open(&w, model));
    gt_text_addf(out, "%s: a Gemma 3 base (%s)\n", model, source_name(w));
    if (strcmp(model, w->path) != 0) gt_text_addf(out, "  path         %s\n", w->path);
    if (w->packed) add_packed(out, w->packed);
    add_config(out, &w->config);
    add_weights(out, w);
    add_tokenizer(out, model);
    if (gt_weights_carried_identity(w)[0]) gt_text_addf(out, "  identity     %s\n", gt_weights_carried_identity(w));
    gt_weights_close(w);
    return GT_OK;
}

gt_status gt_inspect_verify(gt_text *out, const char *model)
{
    gt_weights *w;
    gt_pool *pool = NULL;
    GT_TRY(gt_weights_open(&w, model));
    gt_status st = w->packed ? gt_pool_create(&pool, gt_pool_threads_for(0)) : GT_OK;
    if (st == GT_OK && w->packed) st = gt_gtq_verify(w->packed->file, pool);
    if (st == GT_OK)
        gt_text_addf(out, "  verified     %s\n", w->packed ? "every digest" : "nothing: it holds no digests");
    gt_pool_destroy(pool);
    gt_weights_close(w);
    return st;
}
