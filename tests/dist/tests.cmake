gt_test(test_comm.c RANKS 1 2 4)
gt_test(test_comm_faults.c)
gt_test(test_shard.c)
