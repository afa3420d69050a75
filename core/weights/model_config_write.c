/* config.json with both spellings of rotation (transformers 5 reads rope_parameters, transformers 4 the three older
 * keys; they agree), and every number in the type that transformers' classes insist on: sizes whole, the rest real. */
#include "model_config.h"

static void add_layer_types(gt_json_writer *w, gt_json_node *root, const gt_model_config *c)
{
    gt_json_node *types = gt_json_add_array(w, root, "layer_types");
    for (int i = 0; i < c->num_hidden_layers; i++)
        gt_json_add_text(w, types, NULL, c->layer_is_full[i] ? "full_attention" : "sliding_attention");
}

static void add_eos(gt_json_writer *w, gt_json_node *root, const gt_model_config *c)
{
    if (c->eos_count == 1) {
        gt_json_add_int(w, root, "eos_token_id", c->eos_id[0]);
        return;
    }
    gt_json_node *ids = gt_json_add_array(w, root, "eos_token_id");
    for (int i = 0; i < c->eos_count; i++) gt_json_add_int(w, ids, NULL, c->eos_id[i]);
}

static void add_rope(gt_json_writer *w, gt_json_node *root, const gt_model_config *c)
{
    const bool scaled = c->rope_factor != 1;
    gt_json_add_real(w, root, "rope_local_base_freq", c->rope_local_base_freq);
    gt_json_node *parameters = gt_json_add_object(w, root, "rope_parameters");
    gt_json_node *full = gt_json_add_object(w, parameters, "full_attention");
    if (scaled) gt_json_add_real(w, full, "factor", c->rope_factor);
    gt_json_add_real(w, full, "rope_theta", c->rope_theta);
    gt_json_add_text(w, full, "rope_type", scaled ? "linear" : "default");
    gt_json_node *sliding = gt_json_add_object(w, parameters, "sliding_attention");
    gt_json_add_real(w, sliding, "rope_theta", c->rope_local_base_freq);
    gt_json_add_text(w, sliding, "rope_type", "default");
    if (scaled) {
        gt_json_node *scaling = gt_json_add_object(w, root, "rope_scaling");
        gt_json_add_real(w, scaling, "factor", c->rope_factor);
        gt_json_add_text(w, scaling, "rope_type", "linear");
    } else {
        gt_json_add_null(w, root, "rope_scaling");
    }
    gt_json_add_real(w, root, "rope_theta", c->rope_theta);
}

/* transformers insists on an integer here */
static void add_query_scalar(gt_json_writer *w, gt_json_node *root, double value)
{
    if (value < 1e9 && value == (double)(int)value)
        gt_json_add_int(w, root, "query_pre_attn_scalar", (int)value);
    else
        gt_json_add_real(w, root, "query_pre_attn_scalar", value);
}

gt_status gt_model_config_write(gt_text *out, const gt_model_config *c, const char *torch_dtype,
                                gt_model_config_extra *extra, const void *user)
{
    gt_json_writer w = {0};
    gt_json_node *root = gt_json_begin(&w);
    gt_json_node *architectures = gt_json_add_array(&w, root, "architectures");
    gt_json_add_text(&w, architectures, NULL, c->bidirectional ? "Gemma3TextModel" : "Gemma3ForCausalLM");
    gt_json_add_bool(&w, root, "attention_bias", false);
    gt_json_add_real(&w, root, "attention_dropout", 0);
    gt_json_add_null(&w, root, "attn_logit_softcapping");
    gt_json_add_int(&w, root, "bos_token_id", c->bos_id);
    add_eos(&w, root, c);
    gt_json_add_null(&w, root, "final_logit_softcapping");
    gt_json_add_int(&w, root, "head_dim", c->head_dim);
    gt_json_add_text(&w, root, "hidden_activation", "gelu_pytorch_tanh");
    gt_json_add_int(&w, root, "hidden_size", c->hidden_size);
    gt_json_add_real(&w, root, "initializer_range", 0.02);
    gt_json_add_int(&w, root, "intermediate_size", c->intermediate_size);
    add_layer_types(&w, root, c);
    gt_json_add_int(&w, root, "max_position_embeddings", c->max_position_embeddings);
    gt_json_add_text(&w, root, "model_type", "gemma3_text");
    gt_json_add_int(&w, root, "num_attention_heads", c->num_attention_heads);
    gt_json_add_int(&w, root, "num_hidden_layers", c->num_hidden_layers);
    gt_json_add_int(&w, root, "num_key_value_heads", c->num_key_value_heads);
    gt_json_add_int(&w, root, "pad_token_id", c->pad_id);
    add_query_scalar(&w, root, c->query_pre_attn_scalar);
    gt_json_add_real32(&w, root, "rms_norm_eps", c->rms_norm_eps);
    add_rope(&w, root, c);
    gt_json_add_int(&w, root, "sliding_window", c->sliding_window);
    gt_json_add_bool(&w, root, "tie_word_embeddings", true);
    gt_json_add_text(&w, root, "torch_dtype", torch_dtype);
    gt_json_add_bool(&w, root, "use_bidirectional_attention", c->bidirectional);
    gt_json_add_bool(&w, root, "use_cache", true);
    if (extra) extra(&w, root, user);
    gt_json_add_int(&w, root, "vocab_size", c->vocab_size);
    return gt_json_end(&w, out, GT_JSON_PAGE, "config.json");
}
