# Writes contract/*.h, what the engine shares with the Python package, and gives them to localvqe_core.
#
# Python is the source and the standard library is enough, so any interpreter of the machine that builds will do: the one
# that builds a wheel, or the one that is found. It runs without site-packages, where another copy of the package may be.

# In a cross build, programs come from this machine, whatever the toolchain file says of its target's root.
set(localvqe_find_root_mode "${CMAKE_FIND_ROOT_PATH_MODE_PROGRAM}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM "${localvqe_find_root_mode}")

set(contract_folder "${CMAKE_CURRENT_BINARY_DIR}/generated")
set(contract_headers "${contract_folder}/contract/constants.h" "${contract_folder}/contract/keys.h"
                     "${contract_folder}/contract/lfsc.h" "${contract_folder}/contract/tensors.h")
add_custom_command(
  OUTPUT ${contract_headers}
  COMMAND "${Python3_EXECUTABLE}" -I -S -B "${CMAKE_CURRENT_SOURCE_DIR}/contract" "${contract_folder}"
          "${CMAKE_CURRENT_BINARY_DIR}/contract.d"
  DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/contract/__main__.py"
  DEPFILE "${CMAKE_CURRENT_BINARY_DIR}/contract.d" # names the Python files that were read
  COMMENT "Writing the headers that the engine shares with the Python package"
  VERBATIM)
target_sources(localvqe_core PRIVATE ${contract_headers})
target_include_directories(localvqe_core PUBLIC "${contract_folder}")
