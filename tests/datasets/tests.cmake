# one line a test
add_library(gt_tokenizer_files STATIC datasets/tokenizer_files.c)
target_link_libraries(gt_tokenizer_files PUBLIC gt_testing)
gt_test(datasets/test_tokenizer_golden.c LINK gt_tokenizer_files)
gt_test(datasets/test_chat.c LINK gt_tokenizer_files)
