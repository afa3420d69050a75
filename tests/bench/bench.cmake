# Programs that print figures; built with the tests, run by hand (docs/performance.md).
add_executable(bench_kernels ${CMAKE_CURRENT_LIST_DIR}/bench_kernels.c)
target_link_libraries(bench_kernels PRIVATE gt_all gt_kernels_cpu DNNL::dnnl gomp)
target_compile_definitions(bench_kernels PRIVATE GT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
gt_house_test(test_results.py EARLY)
