#include "gtq_meta.h"

#include "checked.h"
#include "hash.h"
#include "weights_sources.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const uint8_t gt_gtq_magic[8] = {0x89, 'G', 'T', 'Q', '\r', '\n', 0x1a, '\n'};

void gt_gtq_meta_free(gt_gtq_meta *m)
{
    free(m->proj);
    *m = (gt_gtq_meta){0};
}

size_t gt_gtq_norm_count(const gt_model_config *c)
{
    size_t layer = 0;
    for (int n = 0; n < GT_NORM_COUNT; n++) layer += (size_t)gt_weights_norm_size(c, (gt_norm)n);
    return layer * (size_t)c->num_hidden_layers + (size_t)c->hidden_size;
}

bool gt_gtq_tensor_sizes(gt_gtq_tensor *t, bool double_quant)
{
    const size_t per = (size_t)gt_dtype_block_elements(t->dtype), bytes = (size_t)gt_dtype_block_bytes(t->dtype);
    size_t n;
    if (t->rows <= 0 || t->cols <= 0 || per == 0 || !gt_mul_size((size_t)t->rows, (size_t)t->cols, &n)) return false;
    t->data.bytes =
        (n / per + (n % per != 0)) * bytes; /* n < 2^62: no overflow with blocks of at most 210 bytes below */
    t->code.bytes = t->absmax.bytes = t->absmax8.bytes = t->absmax2.bytes = t->code2.bytes = 0;
    if (!gt_dtype_fourbit(t->dtype)) return n % per == 0;
    const size_t block = (size_t)t->block, nb = n / block + (n % block != 0);
    t->code.bytes = 16 * sizeof(float);
    if (!double_quant) {
        t->absmax.bytes = nb * sizeof(float);
        return true;
    }
    const size_t block2 = (size_t)t->block2;
    t->absmax8.bytes = nb;
    t->absmax2.bytes = (nb / block2 + (nb % block2 != 0)) * sizeof(float);
    t->code2.bytes = 256 * sizeof(float);
    return true;
}

static void print_section(gt_text *t, const char *key, const gt_gtq_section *s)
{
    if (s->bytes) gt_text_addf(t, ",\"%s\":[%" PRIu64 ",%" PRIu64 "]", key, s->offset, s->bytes);
}

static void print_digest(gt_text *t, const uint8_t digest[32])
{
    char hex[65];
    gt_hex(hex, digest);
    gt_text_addf(t, ",\"sha256\":\"%s\"", hex);
}

static void print_tensor(gt_text *t, const char *name, const gt_gtq_tensor *x)
{
    gt_text_addf(t, "\n\"%s\":{\"dtype\":\"%s\",\"shape\":[%d,%d]", name, gt_dtype_name(x->dtype), x->rows, x->cols);
    print_section(t, "data", &x->data);
    if (gt_dtype_fourbit(x->dtype)) {
        gt_text_addf(t, ",\"round_to\":\"%s\",\"block\":%d", gt_dtype_name(x->round_to), x->block);
        print_section(t, "code", &x->code);
        print_section(t, "absmax", &x->absmax);
        if (x->absmax8.bytes) {
            print_section(t, "absmax8", &x->absmax8);
            print_section(t, "absmax2", &x->absmax2);
            print_section(t, "code2", &x->code2);
            gt_text_addf(t, ",\"block2\":%d,\"offset\":%.9g", x->block2, (double)x->offset);
        }
    }
    print_digest(t, x->sha256);
    gt_text_addf(t, "}");
}

static void print_config(gt_text *t, const gt_model_config *c)
{
    gt_text_addf(t,
                 "\"config\":{\"vocab_size\":%d,\"hidden_size\":%d,\"intermediate_size\":%d,\"num_hidden_layers\":%d,"
                 "\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"head_dim\":%d,\"sliding_window\":%d,"
                 "\"max_position_embeddings\":%d,",
                 c->vocab_size, c->hidden_size, c->intermediate_size, c->num_hidden_layers, c->num_attention_heads,
                 c->num_key_value_heads, c->head_dim, c->sliding_window, c->max_position_embeddings);
    gt_text_addf(
        t,
        "\"rms_norm_eps\":%.9g,\"query_pre_attn_scalar\":%.17g,\"rope_theta\":%.17g,\"rope_local_base_freq\":%.17g,"
        "\"rope_factor\":%.17g,\"final_logit_softcapping\":%.9g,\"bidirectional\":%s,\"multimodal\":%s,",
        (double)c->rms_norm_eps, c->query_pre_attn_scalar, c->rope_theta, c->rope_local_base_freq, c->rope_factor,
        (double)c->final_logit_softcapping, c->bidirectional ? "true" : "false", c->multimodal ? "true" : "false");
    gt_text_addf(t, "\"layer_types\":\""); /* a letter a layer: full or sliding */
    for (int i = 0; i < c->num_hidden_layers; i++) gt_text_add(t, c->layer_is_full[i] ? "F" : "S", 1);
    gt_text_addf(t, "\",\"bos_token_id\":%d,\"pad_token_id\":%d,\"eos_token_ids\":[", c->bos_id, c->pad_id);
    for (int i = 0; i < c->eos_count; i++) gt_text_addf(t, "%s%d", i ? "," : "", c->eos_id[i]);
    gt_text_addf(t, "]}");
}

void gt_gtq_meta_print(gt_text *t, const gt_gtq_meta *m)
{
    const gt_gtq_info *i = &m->info;
    gt_text_addf(t, "{\"tool\":");
    gt_text_add_json_string(t, i->tool, strlen(i->tool));
    gt_text_addf(t, ",\n\"source\":{\"kind\":");
    gt_text_add_json_string(t, i->source, strlen(i->source));
    gt_text_addf(t, ",\"name\":");
    gt_text_add_json_string(t, i->source_name, strlen(i->source_name));
    gt_text_addf(t, "},\n\"quantizer\":{\"rule\":");
    gt_text_add_json_string(t, i->quantizer.rule, strlen(i->quantizer.rule));
    gt_text_addf(t, ",\"double_quant\":%s,\"block\":%d,\"block2\":%d},\n\"identity\":\"%s\",\n\"prefix\":\"%s\",\n",
                 i->quantizer.double_quant ? "true" : "false", i->quantizer.block, i->quantizer.block2, i->identity,
                 m->prefix);
    print_config(t, &m->config);
    gt_text_addf(t, ",\n\"norms\":{\"dtype\":\"F32\"");
    print_section(t, "data", &m->norms);
    print_digest(t, m->norms_sha256);
    gt_text_addf(t, "},\n\"tokenizer\":");
    if (m->tokenizer.bytes) {
        gt_text_addf(t, "{\"format\":\"gemtune\"");
        print_section(t, "data", &m->tokenizer);
        print_digest(t, m->tokenizer_sha256);
        gt_text_addf(t, "}");
    } else
        gt_text_addf(t, "null");
    gt_text_addf(t, ",\n\"tensors\":{");
    print_tensor(t, "embed_tokens", &m->embed);
    for (int l = 0; l < m->config.num_hidden_layers; l++) {
        for (int p = 0; p < GT_PROJ_COUNT; p++) {
            char name[80];
            gt_weights_proj_name(name, l, (gt_proj)p);
            gt_text_addf(t, ",");
            print_tensor(t, name, &m->proj[gt_slot_index((gt_slot){l, (gt_proj)p})]);
        }
    }
    gt_text_addf(t, "}}\n");
}
