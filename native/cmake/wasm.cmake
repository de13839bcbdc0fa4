# WebAssembly, by Emscripten: one module without JavaScript of its own, for bindings/js. That gives it the few functions
# of WASI that it imports (bindings/js/src/engine.js), so that the same file runs in pages, in worklets and in Node.

# Emscripten has no such library, and functions of that name that fail; nothing here starts a thread.
set(CMAKE_HAVE_LIBC_PTHREAD TRUE)

# Equal sources give equal bytes, wherever they lie.
add_compile_options(-msimd128 -fwasm-exceptions "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=native")
add_link_options(-fwasm-exceptions)

set(LOCALVQE_WASM_FUNCTIONS
    malloc free localvqe_version localvqe_kernels localvqe_creation_error localvqe_model_load_memory localvqe_model_free
    localvqe_stream_new localvqe_free localvqe_process_hops_f32 localvqe_reset localvqe_set_noise_gate
    localvqe_last_error localvqe_current_delay)

function(localvqe_wasm_module core)
  add_executable(localvqe src/api.cpp)
  target_link_libraries(localvqe PRIVATE ${core})
  list(TRANSFORM LOCALVQE_WASM_FUNCTIONS PREPEND "_")
  list(JOIN LOCALVQE_WASM_FUNCTIONS "," functions)
  set_target_properties(localvqe PROPERTIES SUFFIX .wasm)
  # Small at first, since a page has one for each tab, and growing. The stack comes first in memory, where one that is
  # full runs into address 0 and stops the module, and not into somebody's data.
  target_link_options(localvqe PRIVATE --no-entry -sSTANDALONE_WASM=1 -sEXPORTED_FUNCTIONS=${functions}
                      -sALLOW_MEMORY_GROWTH=1 -sINITIAL_MEMORY=2MB -sMAXIMUM_MEMORY=1GB
                      -sTOTAL_STACK=512KB -Wl,--stack-first)
  # One thread has no need of it, and Clang 14 makes a trap of its first use in a handler.
  set_source_files_properties(src/api.cpp PROPERTIES COMPILE_DEFINITIONS "thread_local=")
endfunction()
