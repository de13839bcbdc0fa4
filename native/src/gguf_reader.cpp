#include "gguf_reader.h"

#include "error.h"

#include "ggml.h"

#include <cmath>
#include <cstring>

namespace localvqe {
namespace {

// GGUF value type ids.
enum : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

constexpr uint64_t kMaxFile = uint64_t(1) << 30;
constexpr uint64_t kMaxKeys = 4096;
constexpr uint64_t kMaxTensors = 4096;
constexpr uint64_t kMaxKeyLength = 256;
constexpr uint64_t kMaxKeptText = 4096; // longer texts are legal but not needed by the engine
constexpr uint64_t kMaxKeptArray = 8;   // the same for arrays
constexpr uint32_t kMaxDims = 4;

int value_size(uint32_t type) {
    switch (type) {
        case kU8:
        case kI8:
        case kBool: return 1;
        case kU16:
        case kI16: return 2;
        case kU32:
        case kI32:
        case kF32: return 4;
        case kU64:
        case kI64:
        case kF64: return 8;
        default: return 0;
    }
}

const char * value_type_name(uint32_t type) {
    static const char * const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};
    return type < 13 ? names[type] : "unknown";
}

} // namespace

std::string gguf_type_name(uint32_t type) {
    const char * name = type < GGML_TYPE_COUNT ? ggml_type_name(ggml_type(type)) : nullptr;
    if (name == nullptr || *name == 0) {
        return "type " + std::to_string(type);
    }
    std::string upper(name);
    for (char & c : upper) {
        c = c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c;
    }
    return upper;
}

// Reads forward through the file and refuses to pass its end.
class GgufFile::Cursor {
public:
    explicit Cursor(ByteSource & source) : source_(source), size_(source.size()) {}

    void read(void * out, uint64_t n) {
        need(n);
        if (!source_.read(at_, out, size_t(n))) {
            throw Error("read error in the header");
        }
        at_ += n;
    }
    void skip(uint64_t n) {
        need(n);
        at_ += n;
    }
    template <class T> T get() {
        T v;
        read(&v, sizeof v);
        return v;
    }
    std::string text(uint64_t limit) {
        const uint64_t n = get<uint64_t>();
        need(n);
        if (n > limit) {
            throw Error("a name of " + std::to_string(n) + " bytes, more than " + std::to_string(limit));
        }
        std::string s(size_t(n), '\0');
        read(&s[0], n);
        return s;
    }
    uint64_t at() const { return at_; }
    uint64_t left() const { return size_ - at_; }

private:
    void need(uint64_t n) const {
        if (n > left()) {
            throw Error("the file is truncated: the header ends after byte " + std::to_string(size_));
        }
    }
    ByteSource & source_;
    uint64_t size_;
    uint64_t at_ = 0;
};

GgufFile::GgufFile(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {
    const uint64_t size = source_->size();
    if (size == 0) {
        throw Error("the file is empty");
    }
    if (size > kMaxFile) {
        throw Error("the file is larger than 1 GiB");
    }
    Cursor in(*source_);
    char magic[4] = {};
    in.read(magic, size < 4 ? size : 4);
    if (std::memcmp(magic, "GGUF", 4) != 0) {
        throw Error("not a GGUF file");
    }
    const uint32_t version = in.get<uint32_t>();
    if (version == 0x03000000u || version == 0x02000000u) {
        throw Error("a big-endian GGUF file; this engine reads little-endian files");
    }
    if (version != 2 && version != 3) {
        throw Error("GGUF format version " + std::to_string(version) + "; this engine reads 2 and 3");
    }
    const uint64_t n_tensors = in.get<uint64_t>();
    const uint64_t n_values = in.get<uint64_t>();
    if (n_tensors > kMaxTensors || n_values > kMaxKeys) {
        throw Error("the header claims " + std::to_string(n_values) + " keys and " + std::to_string(n_tensors) +
                    " tensors, more than any LocalVQE model has");
    }
    for (uint64_t i = 0; i < n_values; ++i) {
        const std::string key = in.text(kMaxKeyLength);
        if (key.empty()) {
            throw Error("a key without a name");
        }
        if (values_.count(key) != 0) {
            throw Error("key " + key + " appears twice");
        }
        try {
            parse_value(in, key, in.get<uint32_t>());
        } catch (const Error & error) {
            throw Error("key " + key + ": " + error.what());
        }
    }
    if (values_.count("general.alignment") != 0) {
        alignment_ = u32("general.alignment");
        if (alignment_ == 0 || (alignment_ & (alignment_ - 1)) != 0 || alignment_ > 65536) {
            throw Error("general.alignment is " + std::to_string(alignment_) + ", expected a power of two up to 65536");
        }
    }
    for (uint64_t i = 0; i < n_tensors; ++i) {
        parse_tensor(in);
    }
    data_start_ = (in.at() + alignment_ - 1) / alignment_ * alignment_;
    check_layout(size > data_start_ ? size - data_start_ : 0);
}

void GgufFile::parse_value(Cursor & in, const std::string & key, uint32_t type) {
    Value v;
    v.type = type;
    if (type == kString) {
        const uint64_t n = in.get<uint64_t>();
        if (n <= kMaxKeptText) {
            v.text.resize(size_t(n));
            in.read(&v.text[0], n);
        } else {
            in.skip(n);
        }
    } else if (type == kArray) {
        const uint32_t element = in.get<uint32_t>();
        const uint64_t count = in.get<uint64_t>();
        const uint64_t width = uint64_t(value_size(element));
        if (element == kString) {
            for (uint64_t i = 0; i < count; ++i) { // each string takes at least 8 bytes, so the file bounds the loop
                in.skip(in.get<uint64_t>());
            }
        } else if (width == 0) {
            throw Error("an array of unknown element type " + std::to_string(element));
        } else if (count > in.left() / width) {
            throw Error("the file is truncated inside the array");
        } else if (element == kU32 && count <= kMaxKeptArray) {
            for (uint64_t i = 0; i < count; ++i) {
                v.numbers.push_back(in.get<uint32_t>());
            }
        } else {
            in.skip(count * width);
        }
    } else if (const int width = value_size(type)) {
        in.read(&v.bits, uint64_t(width));
        if (type == kBool && v.bits > 1) {
            throw Error("a bool of value " + std::to_string(v.bits));
        }
    } else {
        throw Error("unknown value type " + std::to_string(type));
    }
    values_.emplace(key, std::move(v));
}

void GgufFile::parse_tensor(Cursor & in) {
    const std::string name = in.text(kMaxKeyLength);
    if (tensors_.count(name) != 0) {
        throw Error("tensor " + name + " appears twice");
    }
    GgufTensor t;
    const uint32_t n_dims = in.get<uint32_t>();
    if (n_dims > kMaxDims) {
        throw Error("tensor " + name + " has " + std::to_string(n_dims) + " dimensions");
    }
    uint64_t elements = 1;
    for (uint32_t d = 0; d < n_dims; ++d) {
        const uint64_t ne = in.get<uint64_t>();
        if (ne == 0 || ne > kMaxFile || elements > kMaxFile / ne) {
            throw Error("tensor " + name + " has an impossible shape");
        }
        elements *= ne;
        t.ne.push_back(ne);
    }
    t.type = in.get<uint32_t>();
    t.offset = in.get<uint64_t>();
    if (t.type >= GGML_TYPE_COUNT || ggml_blck_size(ggml_type(t.type)) <= 0 || ggml_type_size(ggml_type(t.type)) == 0) {
        throw Error("tensor " + name + " has unknown type " + std::to_string(t.type));
    }
    const uint64_t block = uint64_t(ggml_blck_size(ggml_type(t.type)));
    const uint64_t row = t.ne.empty() ? 1 : t.ne[0];
    if (row % block != 0) {
        throw Error("tensor " + name + " has rows of " + std::to_string(row) + ", not a multiple of " +
                    std::to_string(block));
    }
    t.bytes = elements / block * uint64_t(ggml_type_size(ggml_type(t.type)));
    tensors_.emplace(name, std::move(t));
}

void GgufFile::check_layout(uint64_t data_bytes) const {
    std::map<uint64_t, std::pair<uint64_t, const std::string *>> by_offset;
    for (const auto & entry : tensors_) {
        const GgufTensor & t = entry.second;
        if (t.offset % alignment_ != 0) {
            throw Error("tensor " + entry.first + " starts at an unaligned offset");
        }
        if (t.offset > data_bytes || t.bytes > data_bytes - t.offset) {
            throw Error("the file is truncated: tensor " + entry.first + " lies beyond its end");
        }
        if (!by_offset.emplace(t.offset, std::make_pair(t.bytes, &entry.first)).second) {
            throw Error("tensor " + entry.first + " overlaps another tensor");
        }
    }
    uint64_t end = 0;
    for (const auto & entry : by_offset) {
        if (entry.first < end) {
            throw Error("tensor " + *entry.second.second + " overlaps another tensor");
        }
        end = entry.first + entry.second.first;
    }
}

const GgufFile::Value & GgufFile::value(const std::string & key, uint32_t type) const {
    const auto found = values_.find(key);
    if (found == values_.end()) {
        throw Error("key " + key + " is missing");
    }
    if (found->second.type != type) {
        throw Error("key " + key + " has type " + value_type_name(found->second.type) + ", expected " +
                    value_type_name(type));
    }
    return found->second;
}

uint32_t GgufFile::u32(const std::string & key) const { return uint32_t(value(key, kU32).bits); }

bool GgufFile::boolean(const std::string & key) const { return (value(key, kBool).bits & 0xff) != 0; }

const std::string & GgufFile::string(const std::string & key) const { return value(key, kString).text; }

float GgufFile::f32(const std::string & key) const {
    const uint32_t bits = uint32_t(value(key, kF32).bits);
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

bool GgufFile::any_key(const std::string & prefix) const {
    const auto found = values_.lower_bound(prefix);
    return found != values_.end() && found->first.compare(0, prefix.size(), prefix) == 0;
}

std::string GgufFile::string_or_empty(const std::string & key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::string() : found->second.text;
}

std::vector<uint64_t> GgufFile::u32_array_or_empty(const std::string & key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::vector<uint64_t>() : found->second.numbers;
}

std::vector<uint8_t> GgufFile::read_bytes(const std::string & name) const {
    const GgufTensor & t = tensors_.at(name);
    std::vector<uint8_t> out(size_t(t.bytes), 0);
    if (!source_->read(data_start_ + t.offset, out.data(), out.size())) {
        throw Error("read error in tensor " + name);
    }
    return out;
}

std::vector<float> GgufFile::read_f32(const std::string & name) const {
    const GgufTensor & t = tensors_.at(name);
    std::vector<float> out(size_t(t.bytes / sizeof(float)));
    if (!source_->read(data_start_ + t.offset, out.data(), out.size() * sizeof(float))) {
        throw Error("read error in tensor " + name);
    }
    for (float v : out) {
        if (!std::isfinite(v)) {
            throw Error("tensor " + name + " holds NaN or infinite values");
        }
    }
    return out;
}

} // namespace localvqe
