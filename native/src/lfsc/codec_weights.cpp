#include "codec_weights.h"

#include "../error.h"
#include "../gguf_reader.h"
#include "../quantized.h"
#include "contract/lfsc.h"

#include <cmath>
#include <cstdint>

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

std::vector<float> from_halves(const std::vector<uint8_t> & bytes, const std::string & name) {
    std::vector<float> out(bytes.size() / 2);
    for (size_t i = 0; i < out.size(); ++i) {
        out[i] = half_to_float(bytes.data() + 2 * i);
        if (!std::isfinite(out[i])) {
            throw Error("tensor " + name + " holds NaN or infinite values");
        }
    }
    return out;
}

} // namespace

Weight WeightReader::read(const std::string & name, int outputs, int inputs, int taps) {
    const std::string of_weight = name + ".weight", of_bias = name + ".bias";
    const GgufTensor & weight = find(file_, of_weight);
    const GgufTensor & bias = find(file_, of_bias);
    if (bias.type != kTypeF32 || !has_shape(bias, {uint64_t(outputs)})) {
        throw Error("tensor " + of_bias + " has another type or shape");
    }
    Weight out;
    out.bias_ = file_.read_f32(of_bias);
    const size_t columns = size_t(inputs) * size_t(taps);
    if (weight.type == kTypeQ8) {
        const BlockFormat & format = *find_format(kTypeQ8);
        const size_t block = size_t(format.block), stored = (columns + block - 1) / block * block;
        const std::vector<uint64_t> shape{uint64_t(outputs), uint64_t(inputs), uint64_t(taps)};
        if (!has_shape(weight, {uint64_t(stored), uint64_t(outputs)}) ||
            file_.u32_array_or_empty(kLfscShapePrefix + of_weight) != shape) {
            throw Error("tensor " + of_weight + " has another shape");
        }
        out.values_.resize(size_t(outputs) * stored);
        try {
            dequantize_rows(format, file_.read_bytes(of_weight).data(), size_t(outputs), stored, out.values_.data());
        } catch (const Error & error) {
            throw Error("tensor " + of_weight + " holds " + error.what());
        }
        out.output_step_ = stored;
        out.tap_step_ = size_t(inputs);
        out.input_step_ = 1;
    } else {
        if ((weight.type != kTypeF32 && weight.type != kTypeF16) ||
            !has_shape(weight, {uint64_t(taps), uint64_t(inputs), uint64_t(outputs)})) {
            throw Error("tensor " + of_weight + " has another type or shape");
        }
        out.values_ =
            weight.type == kTypeF32 ? file_.read_f32(of_weight) : from_halves(file_.read_bytes(of_weight), of_weight);
        out.output_step_ = columns;
        out.tap_step_ = 1;
        out.input_step_ = size_t(taps);
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
