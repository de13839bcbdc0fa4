// Opening files by UTF-8 paths on every system.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace localvqe {

// A regular file, for reading in binary, and its size in bytes. Throws Error (without the path in the text).
std::FILE * open_regular_file(const std::string & utf8_path, uint64_t & size);

} // namespace localvqe
