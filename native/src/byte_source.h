// Where a model's bytes come from: a file, or memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace localvqe {

class ByteSource {
public:
    virtual ~ByteSource() = default;
    virtual uint64_t size() const = 0;
    // Bytes [at, at + n), which lie within the size. False if they cannot be read.
    virtual bool read(uint64_t at, void * out, size_t n) = 0;
};

// A regular file. Throws Error (without the path in the text).
std::unique_ptr<ByteSource> open_file(const std::string & utf8_path);
// Memory, which must outlive the source.
std::unique_ptr<ByteSource> open_memory(const void * bytes, uint64_t size);

} // namespace localvqe
