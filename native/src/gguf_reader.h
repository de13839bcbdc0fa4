// A bounds-checked GGUF reader. ggml's own parser asserts on damaged files; this one throws Error with a reason
// before anything of the file's own claims is allocated.
#pragma once

#include "byte_source.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace localvqe {

struct GgufTensor {
    uint32_t type = 0;        // ggml type id; 0 is F32
    std::vector<uint64_t> ne; // ne[0] is the contiguous axis
    uint64_t offset = 0;      // from the start of the data section
    uint64_t bytes = 0;
};

class GgufFile {
public:
    // Parses and checks the whole structure. Throws Error (without the file's name in the text).
    explicit GgufFile(std::unique_ptr<ByteSource> source);

    // Metadata by key; throws Error when the key is missing or has another type.
    uint32_t u32(const std::string & key) const;
    float f32(const std::string & key) const;
    bool boolean(const std::string & key) const;
    const std::string & string(const std::string & key) const;
    // Whether any key begins so.
    bool any_key(const std::string & prefix) const;
    bool has(const std::string & key) const { return values_.count(key) != 0; }
    // Empty when absent or not a string.
    std::string string_or_empty(const std::string & key) const;
    // Elements of an array of u32, at most eight; empty when absent, longer or of another type.
    std::vector<uint64_t> u32_array_or_empty(const std::string & key) const;

    const std::map<std::string, GgufTensor> & tensors() const { return tensors_; }

    // Reads a whole F32 tensor; throws Error on an I/O error or a NaN or infinite value.
    std::vector<float> read_f32(const std::string & name) const;
    // A tensor's bytes as they are; throws Error on an I/O error.
    std::vector<uint8_t> read_bytes(const std::string & name) const;

private:
    struct Value {
        uint32_t type = 0;
        uint64_t bits = 0; // scalar, zero-extended
        std::string text;
        std::vector<uint64_t> numbers; // of a short array of u32
    };
    class Cursor;

    const Value & value(const std::string & key, uint32_t type) const;
    void parse_value(Cursor & in, const std::string & key, uint32_t type);
    void parse_tensor(Cursor & in);
    void check_layout(uint64_t data_bytes) const;

    std::unique_ptr<ByteSource> source_;
    std::map<std::string, Value> values_;
    std::map<std::string, GgufTensor> tensors_;
    uint64_t data_start_ = 0;
    uint64_t alignment_ = 32;
};

// "F32", "Q8_0" ... or "type 17" for an id without a name.
std::string gguf_type_name(uint32_t type);

} // namespace localvqe
