/* fuzz_config.c - any bytes as config.json and generation_config.json: parsed or refused. What is parsed, written and
 * parsed again, is the same model. */
#include "fuzz.h"

#include "model_config.h"
#include "weights_bnb.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gt_model_config c, again;
    memset(&c, 0, sizeof c);
    (void)gt_bnb_check_config((const char *)data, size, "input");
    if (gt_model_config_parse(&c, (const char *)data, size, "input") != GT_OK) {
        (void)gt_model_config_parse_generation(&c, (const char *)data, size, "input");
        return 0;
    }
    FUZZ_CHECK(c.num_hidden_layers >= 1 && c.num_hidden_layers <= GT_MAX_LAYERS);
    FUZZ_CHECK(c.num_attention_heads % c.num_key_value_heads == 0 && c.eos_count >= 1 && c.eos_count <= GT_MAX_EOS);
    gt_text text = {0};
    FUZZ_CHECK(gt_model_config_write(&text, &c, "bfloat16", NULL, NULL) == GT_OK);
    FUZZ_CHECK(gt_model_config_parse(&again, text.data, text.size, "again") == GT_OK);
    gt_text_free(&text);
    FUZZ_CHECK(memcmp(c.layer_is_full, again.layer_is_full, sizeof c.layer_is_full) == 0);
    FUZZ_CHECK(c.hidden_size == again.hidden_size && c.head_dim == again.head_dim && c.vocab_size == again.vocab_size);
    FUZZ_CHECK(c.rms_norm_eps == again.rms_norm_eps && c.query_pre_attn_scalar == again.query_pre_attn_scalar);
    FUZZ_CHECK(c.rope_theta == again.rope_theta && c.rope_local_base_freq == again.rope_local_base_freq);
    FUZZ_CHECK(c.rope_factor == again.rope_factor && c.bidirectional == again.bidirectional);
    FUZZ_CHECK(c.eos_count == again.eos_count && memcmp(c.eos_id, again.eos_id, sizeof c.eos_id) == 0);
    return 0;
}
