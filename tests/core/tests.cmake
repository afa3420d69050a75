# one line a test
gt_test(core/test_safetensors.c)
gt_test(core/test_recipe.c)
