gt_test(test_lora_init.c)
gt_test(test_forward.c)
gt_test(test_gradients.c)
gt_script_test(parity_wide.py TIMEOUT 1200 LABELS "slow;release")
