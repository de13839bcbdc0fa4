#include "codec_weights.h"

#include "../error.h"
#include "../gguf_reader.h"
#include "../quantized.h"
#include "contract/lfsc.h"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace localvqe {
namespace lfsc {
namespace {

constexpr uint32_t kTypeF16 = 1;

// GGUF lists the fastest axis first, and writers may leave out ones at the slow end.
bool has_shape(const GgufTensor & tensor, std::vector<uint64_t> ne) {
    std::vector<uint64_t> found = tensor.ne;
    while (!found.empty() && found.back() == 1) {
        found.pop_back();
    }
    while (!ne.empty() && ne.back() == 1) {
        ne.pop_back();
    }
    return found == ne;
}

const GgufTensor & find(const GgufFile & file, const std::string & name) {
    const auto found = file.tensors().find(name);
    if (found == file.tensors().end()) {
        throw Error("missing tensor " + name);
    }
    return found->second;
}

void require_finite_halves(const std::vector<uint8_t> & bytes, const std::string & name) {
    for (size_t i = 0; i < bytes.size(); i += 2) {
        if (!std::isfinite(half_to_float(bytes.data() + i))) {
            throw Error("tensor " + name + " holds NaN or infinite values");
        }
    }
}

// A block of Q8_0 begins with its scale.
void require_finite_scales(const std::vector<uint8_t> & bytes, size_t block_bytes, const std::string & name) {
    for (size_t i = 0; i < bytes.size(); i += block_bytes) {
        if (!std::isfinite(half_to_float(bytes.data() + i))) {
            throw Error("tensor " + name + " holds a block whose scale is NaN or infinite");
        }
    }
}

const BlockFormat & q8() { return *find_format(kTypeQ8); }

} // namespace

uint16_t Weight::half(int output, int column) const {
    uint16_t bits;
    std::memcpy(&bits, bytes_.data() + 2 * at(output, column), sizeof bits);
    return bits;
}

const uint8_t * Weight::block(int output, int column) const {
    const BlockFormat & format = q8();
    return bytes_.data() + size_t(output) * row_bytes_ + size_t(column / format.block) * size_t(format.bytes);
}

int8_t Weight::byte(int output, int column) const {
    return int8_t(block(output, column)[2 + column % q8().block]); // behind the scale
}

float Weight::scale(int output, int column) const { return half_to_float(block(output, column)); }

int Weight::columns_of_scale() const { return q8().block; }

Weight WeightReader::read(const std::string & name, int outputs, int inputs, int taps) {
    const std::string of_weight = name + ".weight", of_bias = name + ".bias";
    const GgufTensor & weight = find(file_, of_weight);
    const GgufTensor & bias = find(file_, of_bias);
    if (bias.type != kTypeF32 || !has_shape(bias, {uint64_t(outputs)})) {
        throw Error("tensor " + of_bias + " has another type or shape");
    }
    Weight out;
    out.outputs_ = outputs;
    out.inputs_ = inputs;
    out.taps_ = taps;
    out.bias_ = file_.read_f32(of_bias);
    if (weight.type == kTypeQ8) {
        const size_t block = size_t(q8().block), columns = size_t(inputs) * size_t(taps);
        const size_t blocks = (columns + block - 1) / block;
        const std::vector<uint64_t> shape{uint64_t(outputs), uint64_t(inputs), uint64_t(taps)};
        if (!has_shape(weight, {uint64_t(blocks * block), uint64_t(outputs)}) ||
            file_.u32_array_or_empty(kLfscShapePrefix + of_weight) != shape) {
            throw Error("tensor " + of_weight + " has another shape");
        }
        out.storage_ = Storage::bytes;
        out.bytes_ = file_.read_bytes(of_weight);
        out.row_bytes_ = blocks * size_t(q8().bytes);
        require_finite_scales(out.bytes_, size_t(q8().bytes), of_weight);
    } else {
        if ((weight.type != kTypeF32 && weight.type != kTypeF16) ||
            !has_shape(weight, {uint64_t(taps), uint64_t(inputs), uint64_t(outputs)})) {
            throw Error("tensor " + of_weight + " has another type or shape");
        }
        if (weight.type == kTypeF32) {
            out.floats_ = file_.read_f32(of_weight);
        } else {
            out.storage_ = Storage::halves;
            out.bytes_ = file_.read_bytes(of_weight);
            require_finite_halves(out.bytes_, of_weight);
        }
    }
    read_.insert(of_weight);
    read_.insert(of_bias);
    return out;
}

void WeightReader::require_all_read() const {
    for (const auto & tensor : file_.tensors()) {
        if (read_.count(tensor.first) == 0) {
            throw Error("unknown tensor " + tensor.first);
        }
    }
}

} // namespace lfsc
} // namespace localvqe
