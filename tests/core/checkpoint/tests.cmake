gt_test(test_ckpt.c)
gt_test(test_ckpt_damage.c)
gt_test(test_ckpt_faults.c)
gt_test(test_ckpt_ranks.c RANKS 1 2 4)
# The program that the two scripts drive.
add_executable(ckpt_tool ${CMAKE_CURRENT_LIST_DIR}/ckpt_tool.c)
target_link_libraries(ckpt_tool PRIVATE gt_testing)
gt_script_test(test_ckpt_syscalls.sh LABELS "slow;release")
gt_script_test(test_ckpt_h5py.py LABELS release)
