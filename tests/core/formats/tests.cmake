gt_test(test_safetensors.c)
gt_test(test_gguf.c)
