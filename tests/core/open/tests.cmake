gt_test(test_tokenizer_source.c LINK gt_tokenizer_files)
gt_test(test_base_open.c)
