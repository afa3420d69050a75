# one line a test
gt_test(dist/test_comm.c RANKS 1 2 4)
gt_test(dist/test_comm_faults.c)
gt_test(dist/test_shard.c)
gt_test(dist/test_gtq_ranks.c RANKS 1 2 3)
