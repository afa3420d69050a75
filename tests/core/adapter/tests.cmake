gt_test(test_name_regex.c)
gt_test(test_lora_targets.c)
gt_test(test_adapter.c)
gt_script_test(parity_targets.py TIMEOUT 900 LABELS "slow;release")
