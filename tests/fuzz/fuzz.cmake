# libFuzzer targets (clang, -DGT_FUZZ=ON). gt_fuzz(name): tests/fuzz/name.c, seeds in tests/fuzz/seeds/name/.
# A target reports a fault by crashing: sanitizers, or __builtin_trap() where an invariant does not hold.
function(gt_fuzz name)
  add_executable(${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/${name}.c)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz)
  target_link_libraries(${name} PRIVATE gt_core)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  add_dependencies(fuzzers ${name})
endfunction()
add_custom_target(fuzzers)

# one line a target
gt_fuzz(fuzz_json)
gt_fuzz(fuzz_recipe)
gt_fuzz(fuzz_tokenizer)
gt_fuzz(fuzz_tokenizer_packed)
gt_fuzz(fuzz_manifest)
gt_fuzz(fuzz_safetensors)
gt_fuzz(fuzz_gguf)
gt_fuzz(fuzz_config)
gt_fuzz(fuzz_rows)
