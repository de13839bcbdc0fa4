# Cross-compiles with zig's Clang, which brings the headers and libraries of every system (pip install ziglang):
#   cmake -S native -B build -DCMAKE_TOOLCHAIN_FILE=native/cmake/zig/toolchain.cmake -DLOCALVQE_ZIG_TARGET=TARGET
# TARGET as zig names it: x86_64-linux-gnu.2.17 (a glibc version), aarch64-linux-musl, x86_64-windows-gnu,
# aarch64-macos.11.0 (a macOS version), riscv64-linux-gnu ...
set(LOCALVQE_ZIG_TARGET "" CACHE STRING "What zig compiles for")
set(LOCALVQE_ZIG "" CACHE FILEPATH "The zig program; default: that of the Python package ziglang, or on PATH")
# Compiler checks are builds of their own and read this file again.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LOCALVQE_ZIG_TARGET LOCALVQE_ZIG)

if(NOT LOCALVQE_ZIG)
  find_program(zig zig NO_CACHE)
  if(NOT zig)
    foreach(python python3 python)
      execute_process(COMMAND ${python} -c "import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), 'zig'))"
                      OUTPUT_VARIABLE zig OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
      if(zig)
        break()
      endif()
    endforeach()
  endif()
  if(NOT zig)
    message(FATAL_ERROR "zig is missing: pip install ziglang, or give its place as -DLOCALVQE_ZIG=/path/to/zig")
  endif()
  set(LOCALVQE_ZIG "${zig}" CACHE FILEPATH "" FORCE)
endif()
if(NOT LOCALVQE_ZIG_TARGET MATCHES "^([a-z0-9_]+)-(linux|windows|macos)(\\.([0-9.]+))?")
  message(FATAL_ERROR "LOCALVQE_ZIG_TARGET is '${LOCALVQE_ZIG_TARGET}'; expected for example x86_64-linux-gnu.2.17")
endif()
set(CMAKE_SYSTEM_PROCESSOR "${CMAKE_MATCH_1}")
set(names_linux Linux)
set(names_windows Windows)
set(names_macos Darwin)
set(CMAKE_SYSTEM_NAME "${names_${CMAKE_MATCH_2}}")

# CMake wants programs without arguments where zig has subcommands.
set(tools "${CMAKE_BINARY_DIR}/zig-tools")
foreach(tool ar ranlib rc)
  if(NOT EXISTS "${tools}/${tool}")
    file(WRITE "${tools}/${tool}" "#!/bin/sh\nexec \"${LOCALVQE_ZIG}\" ${tool} \"$@\"\n")
    file(CHMOD "${tools}/${tool}" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
  endif()
endforeach()
# CMake insists on this program for macOS; the names in what is built here need no change on installation.
file(WRITE "${tools}/install_name_tool" "#!/bin/sh\necho 'zig has no install_name_tool' >&2\nexit 1\n")
file(CHMOD "${tools}/install_name_tool" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
set(CMAKE_INSTALL_NAME_TOOL "${tools}/install_name_tool" CACHE FILEPATH "" FORCE)
set(CMAKE_AR "${tools}/ar" CACHE FILEPATH "" FORCE)
set(CMAKE_RANLIB "${tools}/ranlib" CACHE FILEPATH "" FORCE)
set(CMAKE_RC_COMPILER "${tools}/rc" CACHE FILEPATH "" FORCE)
# No strip program works on all of these; the linker does it (-s). Given to every call, so that zig compiles its C++
# library once and not a second time with debugging symbols for CMake's checks.
set(CMAKE_C_COMPILER "${LOCALVQE_ZIG}" cc -target ${LOCALVQE_ZIG_TARGET} -s)
set(CMAKE_CXX_COMPILER "${LOCALVQE_ZIG}" c++ -target ${LOCALVQE_ZIG_TARGET} -s)
set(CMAKE_STRIP "" CACHE FILEPATH "" FORCE)

set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
