/* fuzz_adapter.c - any bytes as an adapter_config.json: refused, or a config that resolves on a small model without
 * fault, and that, printed and read again, means the same modules. Regular expressions come from the text too. */
#include "fuzz.h"

#include "adapter_config.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const gt_model_config model = {.vocab_size = 8,
                                          .hidden_size = 8,
                                          .intermediate_size = 16,
                                          .num_hidden_layers = 3,
                                          .num_attention_heads = 2,
                                          .num_key_value_heads = 1,
                                          .head_dim = 4};
    static gt_lora_targets targets, again;
    gt_lora_config c, d;
    char *base = NULL, *other = NULL;
    gt_text text = {0};
    if (gt_adapter_config_parse(&c, &base, (const char *)data, size, "input") == GT_OK &&
        gt_lora_targets_resolve(&targets, &c, &model, "model.") == GT_OK) {
        FUZZ_CHECK(gt_adapter_config_print(&text, &c, base, NULL) == GT_OK);
        FUZZ_CHECK(gt_adapter_config_parse(&d, &other, text.data, text.size, "printed") == GT_OK);
        FUZZ_CHECK(gt_lora_targets_resolve(&again, &d, &model, "model.") == GT_OK);
        FUZZ_CHECK(memcmp(targets.rank, again.rank, sizeof targets.rank) == 0);
        FUZZ_CHECK(memcmp(targets.scaling, again.scaling, sizeof targets.scaling) == 0);
        gt_lora_config_free(&d);
    }
    gt_text_free(&text);
    gt_lora_config_free(&c);
    free(base);
    free(other);
    return 0;
}
