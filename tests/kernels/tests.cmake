# one line a test
gt_test(kernels/test_matmul.c)
gt_test(kernels/test_nf4.c)
