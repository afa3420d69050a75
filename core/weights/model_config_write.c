#include "model_config.h"

#include "json.h"

#include <stdio.h>
#include <stdlib.h>

/* The shortest decimal that reads back as the same float (f32) or double. Python reads a bare "1e+06" as a float too,
 * but whole numbers get ".0" so that a reader that asks for a float type finds one. */
static const char *number(char out[40], double v, bool f32)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 40, "%.*g", digits, v);
        if (f32 ? strtof(out, NULL) == (float)v : strtod(out, NULL) == v) break;
    }
    for (const char *p = out; *p; p++)
        if (*p == '.' || *p == 'e') return out;
    size_t n = 0;
    while (out[n]) n++;
    snprintf(out + n, 40 - n, ".0");
    return out;
}

static void add_layer_types(gt_text *t, const gt_model_config *c)
{
    gt_text_addf(t, "  \"layer_types\": [\n");
    for (int i = 0; i < c->num_hidden_layers; i++)
        gt_text_addf(t, "    \"%s\"%s\n", c->layer_is_full[i] ? "full_attention" : "sliding_attention",
                     i + 1 < c->num_hidden_layers ? "," : "");
    gt_text_addf(t, "  ],\n");
}

static void add_eos(gt_text *t, const gt_model_config *c)
{
    if (c->eos_count == 1) {
        gt_text_addf(t, "  \"eos_token_id\": %d,\n", c->eos_id[0]);
        return;
    }
    gt_text_addf(t, "  \"eos_token_id\": [");
    for (int i = 0; i < c->eos_count; i++) gt_text_addf(t, "%s%d", i ? ", " : "", c->eos_id[i]);
    gt_text_addf(t, "],\n");
}

/* Both spellings: transformers 5 reads rope_parameters, transformers 4 the three older keys. They agree. */
static void add_rope(gt_text *t, const gt_model_config *c)
{
    char theta[40], local[40], factor[40];
    number(theta, c->rope_theta, false);
    number(local, c->rope_local_base_freq, false);
    number(factor, c->rope_factor, false);
    const bool scaled = c->rope_factor != 1;
    gt_text_addf(t, "  \"rope_local_base_freq\": %s,\n", local);
    gt_text_addf(t, "  \"rope_parameters\": {\n    \"full_attention\": {\n");
    if (scaled) gt_text_addf(t, "      \"factor\": %s,\n", factor);
    gt_text_addf(t, "      \"rope_theta\": %s,\n      \"rope_type\": \"%s\"\n    },\n", theta,
                 scaled ? "linear" : "default");
    gt_text_addf(
        t, "    \"sliding_attention\": {\n      \"rope_theta\": %s,\n      \"rope_type\": \"default\"\n    }\n  },\n",
        local);
    if (scaled)
        gt_text_addf(t, "  \"rope_scaling\": {\n    \"factor\": %s,\n    \"rope_type\": \"linear\"\n  },\n", factor);
    else
        gt_text_addf(t, "  \"rope_scaling\": null,\n");
    gt_text_addf(t, "  \"rope_theta\": %s,\n", theta);
}

gt_status gt_model_config_write(char **out, const gt_model_config *c, const char *torch_dtype, const char *extra)
{
    gt_text t = {0};
    char a[40];
    gt_text_addf(&t, "{\n  \"architectures\": [\n    \"%s\"\n  ],\n",
                 c->bidirectional ? "Gemma3TextModel" : "Gemma3ForCausalLM");
    gt_text_addf(&t, "  \"attention_bias\": false,\n  \"attention_dropout\": 0.0,\n");
    gt_text_addf(&t, "  \"attn_logit_softcapping\": null,\n  \"bos_token_id\": %d,\n", c->bos_id);
    add_eos(&t, c);
    gt_text_addf(&t, "  \"final_logit_softcapping\": null,\n  \"head_dim\": %d,\n", c->head_dim);
    gt_text_addf(&t, "  \"hidden_activation\": \"gelu_pytorch_tanh\",\n  \"hidden_size\": %d,\n", c->hidden_size);
    gt_text_addf(&t, "  \"initializer_range\": 0.02,\n  \"intermediate_size\": %d,\n", c->intermediate_size);
    add_layer_types(&t, c);
    gt_text_addf(&t, "  \"max_position_embeddings\": %d,\n  \"model_type\": \"gemma3_text\",\n",
                 c->max_position_embeddings);
    gt_text_addf(&t, "  \"num_attention_heads\": %d,\n  \"num_hidden_layers\": %d,\n  \"num_key_value_heads\": %d,\n",
                 c->num_attention_heads, c->num_hidden_layers, c->num_key_value_heads);
    gt_text_addf(&t, "  \"pad_token_id\": %d,\n", c->pad_id);
    /* transformers insists on an integer here */
    if (c->query_pre_attn_scalar < 1e9 && c->query_pre_attn_scalar == (double)(int)c->query_pre_attn_scalar)
        gt_text_addf(&t, "  \"query_pre_attn_scalar\": %d,\n", (int)c->query_pre_attn_scalar);
    else
        gt_text_addf(&t, "  \"query_pre_attn_scalar\": %s,\n", number(a, c->query_pre_attn_scalar, false));
    gt_text_addf(&t, "  \"rms_norm_eps\": %s,\n", number(a, c->rms_norm_eps, true));
    add_rope(&t, c);
    gt_text_addf(&t, "  \"sliding_window\": %d,\n  \"tie_word_embeddings\": true,\n", c->sliding_window);
    gt_text_addf(&t, "  \"torch_dtype\": \"%s\",\n", torch_dtype);
    gt_text_addf(&t, "  \"use_bidirectional_attention\": %s,\n  \"use_cache\": true,\n",
                 c->bidirectional ? "true" : "false");
    if (extra) gt_text_addf(&t, "  %s,\n", extra);
    gt_text_addf(&t, "  \"vocab_size\": %d\n}\n", c->vocab_size);
    if (t.failed) {
        gt_text_free(&t);
        return GT_FAIL(GT_ERR_NOMEM, "no memory for a config.json");
    }
    *out = t.data;
    return GT_OK;
}
