# one line a test
gt_script_test(resume/test_resume.py TIMEOUT 1500 LABELS "slow;release")
