# one line a test
gt_script_test(cli/test_command_line.py)
gt_script_test(cli/test_tokenize.py)
gt_script_test(cli/test_run_commands.py)
gt_script_test(cli/test_adapter_keys.py)
