gt_test(test_recipe.c)
