gt_script_test(test_command_line.py)
gt_script_test(test_tokenize.py)
gt_script_test(test_run_commands.py)
gt_script_test(test_adapter_keys.py)
gt_script_test(test_resume.py PARTS kill WAITS TIMEOUT 1500 LABELS "slow;release")
gt_script_test(test_resume.py PARTS ranks TIMEOUT 600 LABELS "slow;release")
gt_script_test(test_resume.py PARTS leave evaluate full refuse TIMEOUT 900 LABELS "slow;release")
# a thousand kills instead of fifty
add_test(NAME test_resume_nightly COMMAND ${CMAKE_CURRENT_LIST_DIR}/test_resume.py kill)
set_tests_properties(test_resume_nightly PROPERTIES TIMEOUT 10800 LABELS "slow;release;nightly" SKIP_RETURN_CODE 77
  ENVIRONMENT "${GT_MPI_ENV};GEMTUNE=$<TARGET_FILE:gemtune>;GT_GOLDEN=${GT_GOLDEN};GT_SHARED=${GT_SHARED};KILLS=1000")
