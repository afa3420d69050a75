# one line a test
gt_test(kernels/test_matmul.c)
gt_test(kernels/test_nf4.c)
gt_test(kernels/test_norm.c)
gt_test(kernels/test_rope.c)
gt_test(kernels/test_mlp.c)
gt_test(kernels/test_decode.c)
gt_test(kernels/test_elementwise.c)
gt_test(kernels/test_adamw.c)
