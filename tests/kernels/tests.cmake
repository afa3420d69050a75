# one line a test
gt_test(kernels/test_matmul.c)
