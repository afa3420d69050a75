# Programs that print figures; built with the tests, run by hand (docs/performance.md).
add_executable(bench_kernels bench/bench_kernels.c)
target_link_libraries(bench_kernels PRIVATE gt_core DNNL::dnnl gomp)
