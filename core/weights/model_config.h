/* model_config.h - the dimensions and constants of a Gemma 3 text model, however its config spelled them
 * (docs/model/gemma3.md sections 1 and 3; GGUF metadata: docs/model/formats.md section 3). Plain data. */
#ifndef GT_MODEL_CONFIG_H
#define GT_MODEL_CONFIG_H

#include "json_write.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GT_MAX_LAYERS = 512, GT_MAX_EOS = 16 };

typedef struct {
    int vocab_size; /* rows of embed_tokens.weight: taken from the tensor, the config's is a cross-check */
    int hidden_size, intermediate_size, num_hidden_layers;
    int num_attention_heads, num_key_value_heads, head_dim;
    int sliding_window; /* W: a query sees itself and W-1 before it on sliding layers */
    int max_position_embeddings;
    float rms_norm_eps;
    double query_pre_attn_scalar; /* score scale = this^-0.5 */
    double rope_theta, rope_local_base_freq;
    double rope_factor;                   /* linear scaling of global layers; 1 for none */
    float final_logit_softcapping;        /* 0: none (always, so far) */
    bool bidirectional;                   /* EmbeddingGemma */
    bool multimodal;                      /* text tower of a Gemma3ForConditionalGeneration */
    uint8_t layer_is_full[GT_MAX_LAYERS]; /* 1: full attention, 0: sliding */
    int32_t bos_id, pad_id, eos_id[GT_MAX_EOS];
    int eos_count;
} gt_model_config;

/* Reads a Hugging Face config.json's text (bytes need no terminator). where: its path, for messages.
 * Defaults and the order of resolution: docs/model/gemma3.md section 3. vocab_size is the config's.
 * GT_ERR_DATA: not JSON, a missing or out-of-range field, or a feature no Gemma 3 has (rope type, soft-capping of
 * attention, bias, another activation): the message names the field, its value and what is accepted. */
gt_status gt_model_config_parse(gt_model_config *out, const char *text, size_t bytes, const char *where);

/* Takes what a generation_config.json says about the ids that end an answer (eos_token_id); *c is otherwise untouched.
 */
gt_status gt_model_config_parse_generation(gt_model_config *c, const char *text, size_t bytes, const char *where);

/* GT_ERR_DATA unless the dimensions fit together: layers within GT_MAX_LAYERS, heads divisible, head_dim even. */
gt_status gt_model_config_check(const gt_model_config *c, const char *where);

/* Adds members of the caller's (a quantization_config) to the config that is being written. */
typedef void gt_model_config_extra(gt_json_writer *w, gt_json_node *root, const void *user);

/* Appends the config as a flat gemma3_text config.json that transformers reads (for `export`). torch_dtype: "bfloat16"
 * or "float32". extra: NULL, or called once with `user`. GT_ERR_NOMEM. */
gt_status gt_model_config_write(gt_text *out, const gt_model_config *c, const char *torch_dtype,
                                gt_model_config_extra *extra, const void *user);

#endif
