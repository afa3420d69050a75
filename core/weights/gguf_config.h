/* gguf_config.h - the config of a Gemma 3 from a GGUF file's metadata (docs/model/formats.md section 3). */
#ifndef GT_GGUF_CONFIG_H
#define GT_GGUF_CONFIG_H

#include "gguf.h"
#include "model_config.h"

/* vocab_size is token_embd's. query_pre_attn_scalar is not stored: hidden_size / heads for the 62 layers of the 27B,
 * head_dim otherwise, as llama.cpp does (src/models/gemma3.cpp). GT_ERR_DATA names the key. */
gt_status gt_model_config_from_gguf(gt_model_config *out, const gt_gguf *g);

#endif
