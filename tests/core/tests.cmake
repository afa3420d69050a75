# one line a test
gt_test(core/test_safetensors.c)
gt_test(core/test_recipe.c)
gt_test(core/test_model_config.c)
gt_test(core/test_weights_hf.c)
gt_test(core/test_name_regex.c)
gt_test(core/test_lora_targets.c)
gt_test(core/test_adapter.c)
