# Finds ggml and defines the static target `localvqe_ggml`.
#
# Order of preference: -DLOCALVQE_GGML_DIR=<a ggml source tree>, an installed package, the pinned source
# distribution of ggml-python, which carries a whole ggml tree and is fetched through pip with its hash checked.
# Nothing of ggml is kept in this repository.

set(LOCALVQE_GGML_DIR "" CACHE PATH "A ggml source tree to build instead of the pinned one")
option(LOCALVQE_SYSTEM_GGML "Use an installed ggml package when there is one" OFF)

set(LOCALVQE_GGML_PACKAGE "ggml-python==0.0.45") # carries ggml 0.15.3
set(LOCALVQE_GGML_SHA256 "10aac52075cf3c7ef2b00d6c35b1c23f7b018dbeff8ae8df67339b4be1166f05")

function(localvqe_fetch_ggml out)
  set(dir "${CMAKE_BINARY_DIR}/ggml-source")
  set(stamp "${dir}/${LOCALVQE_GGML_SHA256}.ok")
  if(NOT EXISTS "${stamp}")
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    file(REMOVE_RECURSE "${dir}")
    file(MAKE_DIRECTORY "${dir}/download")
    file(WRITE "${dir}/requirements.txt" "${LOCALVQE_GGML_PACKAGE} --hash=sha256:${LOCALVQE_GGML_SHA256}\n")
    # pip asks the package for its metadata even for a plain download. Inside our own build its build backend is
    # already installed, which saves an isolated environment; a bare CMake build lets pip make one.
    execute_process(COMMAND "${Python3_EXECUTABLE}" -c "import scikit_build_core" RESULT_VARIABLE no_backend
                    OUTPUT_QUIET ERROR_QUIET)
    set(isolation "")
    if(NOT no_backend)
      set(isolation --no-build-isolation)
    endif()
    message(STATUS "Fetching ${LOCALVQE_GGML_PACKAGE}")
    execute_process(
      COMMAND "${Python3_EXECUTABLE}" -m pip download --quiet --disable-pip-version-check --no-deps
              --no-binary ":all:" ${isolation} --require-hashes -r "${dir}/requirements.txt" -d "${dir}/download"
      RESULT_VARIABLE failed)
    file(GLOB archive "${dir}/download/*.tar.gz")
    if(failed OR NOT archive)
      message(FATAL_ERROR "Could not fetch ${LOCALVQE_GGML_PACKAGE} through pip. Behind a closed network, unpack a "
                          "ggml source tree yourself and pass -DLOCALVQE_GGML_DIR=/path/to/ggml")
    endif()
    file(SHA256 "${archive}" actual)
    if(NOT actual STREQUAL LOCALVQE_GGML_SHA256)
      message(FATAL_ERROR "${archive} has SHA-256 ${actual}, expected ${LOCALVQE_GGML_SHA256}")
    endif()
    file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${dir}")
    file(TOUCH "${stamp}")
  endif()
  file(GLOB tree "${dir}/ggml_python-*/vendor/ggml")
  set(${out} "${tree}" PARENT_SCOPE)
endfunction()

set(LOCALVQE_KNOWN_BACKENDS ggml-cpu cuda metal vulkan)
foreach(backend IN LISTS LOCALVQE_BACKENDS)
  if(NOT backend IN_LIST LOCALVQE_KNOWN_BACKENDS)
    message(FATAL_ERROR "LOCALVQE_BACKENDS has '${backend}'; known are ${LOCALVQE_KNOWN_BACKENDS}")
  endif()
endforeach()

add_library(localvqe_ggml INTERFACE)

if(LOCALVQE_SYSTEM_GGML AND NOT LOCALVQE_GGML_DIR)
  find_package(ggml QUIET)
endif()
if(ggml_FOUND)
  message(STATUS "Using the installed ggml")
  target_link_libraries(localvqe_ggml INTERFACE ggml::ggml)
  return()
endif()

if(LOCALVQE_GGML_DIR)
  set(ggml_source "${LOCALVQE_GGML_DIR}")
else()
  localvqe_fetch_ggml(ggml_source)
endif()
if(NOT EXISTS "${ggml_source}/include/ggml.h")
  message(FATAL_ERROR "No ggml source tree at '${ggml_source}'")
endif()

if(NOT LOCALVQE_BACKENDS AND (CMAKE_SYSTEM_NAME STREQUAL "Linux" OR EMSCRIPTEN))
  # Types and block formats are these three files, and the rest of ggml takes several times as long to compile. What
  # ggml.c calls of the rest is in functions that nothing calls: these linkers leave them out and do not ask.
  add_library(localvqe_ggml_formats STATIC EXCLUDE_FROM_ALL "${ggml_source}/src/ggml.c" "${ggml_source}/src/ggml-quants.c"
              "${ggml_source}/src/ggml-threading.cpp")
  target_include_directories(localvqe_ggml_formats PUBLIC "${ggml_source}/include" PRIVATE "${ggml_source}/src")
  target_compile_definitions(localvqe_ggml_formats PRIVATE _GNU_SOURCE GGML_VERSION="" GGML_COMMIT="")
  target_compile_options(localvqe_ggml_formats PRIVATE -w -ffunction-sections "-ffile-prefix-map=${ggml_source}=ggml")
  set_target_properties(localvqe_ggml_formats PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden
                        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_libraries(localvqe_ggml INTERFACE localvqe_ggml_formats)
  target_link_options(localvqe_ggml INTERFACE "LINKER:--gc-sections")
  return()
endif()

# Baseline instruction set only: the library must start on any CPU.
foreach(option NATIVE CPU LLAMAFILE OPENMP CPU_REPACK ACCELERATE BLAS METAL CUDA VULKAN CCACHE
               SSE42 AVX AVX2 FMA F16C BMI2)
  set(GGML_${option} OFF CACHE BOOL "" FORCE)
endforeach()
if("ggml-cpu" IN_LIST LOCALVQE_BACKENDS AND NOT CMAKE_CROSSCOMPILING)
  # Its kernels have no choice at run time, and the baseline's are ten times slower: whoever asks for them builds for the
  # processor at hand.
  set(GGML_NATIVE ON CACHE BOOL "" FORCE)
endif()
foreach(backend IN LISTS LOCALVQE_BACKENDS)
  string(REPLACE "ggml-" "" backend "${backend}")
  string(TOUPPER "${backend}" backend)
  set(GGML_${backend} ON CACHE BOOL "" FORCE)
endforeach()
set(BUILD_SHARED_LIBS OFF CACHE BOOL "" FORCE)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
add_subdirectory("${ggml_source}" ggml EXCLUDE_FROM_ALL)
if(LOCALVQE_BACKENDS)
  target_link_libraries(localvqe_ggml INTERFACE ggml)
else()
  target_link_libraries(localvqe_ggml INTERFACE ggml-base)
endif()
