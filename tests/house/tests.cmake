# Checks of the house itself: its arrows, names, citations, habits. They read the tree, rooms.json, compile_commands.json
# and the objects of the build; each first shows on a broken sample that it can fail.
gt_write_rooms()
gt_house_test(test_arrows.py)
gt_house_test(test_forbidden_includes.py)
gt_house_test(test_sources.py EARLY)
gt_house_test(test_citations.py EARLY)
gt_house_test(test_calls.py)
