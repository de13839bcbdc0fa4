# Asks for the compiler before CMake does: it would say in a page that there is none, where one line is enough.
# A toolchain file names its compiler itself, and may need variables that such a question does not pass on.

include(CheckLanguage)
if(NOT CMAKE_TOOLCHAIN_FILE)
  check_language(CXX)
  if(NOT CMAKE_CXX_COMPILER)
    unset(CMAKE_CXX_COMPILER CACHE) # or the next try in this folder would not look again
    # Lines that are indented stay as they are.
    message(FATAL_ERROR
            "  No working C++ compiler was found; localvqe needs one for C++17. Install it and try again:\n"
            "    Debian, Ubuntu: apt-get install build-essential    Fedora: dnf install gcc-c++    Alpine: apk add build-base\n"
            "    macOS: xcode-select --install    Windows: the C++ build tools of Visual Studio")
  endif()
endif()
