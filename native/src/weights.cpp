#include "weights.h"

#include "error.h"

namespace localvqe {

std::vector<float> Loader::read(const std::string & name) const {
    const GgufTensor & t = file.tensors().at(name);
    const BlockFormat * format = find_format(t.type);
    if (format == nullptr) {
        return file.read_f32(name);
    }
    const std::vector<uint64_t> & ne = shapes.at(name);
    const MatrixShape matrix = matrix_shape(ne);
    const std::vector<uint8_t> blocks = file.read_bytes(name);
    const size_t stored = size_t(t.ne[0]); // a row with its padding
    std::vector<float> rows(matrix.rows * stored);
    try {
        dequantize_rows(*format, blocks.data(), matrix.rows, stored, rows.data());
    } catch (const Error & error) {
        throw Error("tensor " + name + " holds " + error.what());
    }
    const bool kernel = ne.size() == 4;
    const size_t kw = kernel ? size_t(ne[0]) : 1, kh = kernel ? size_t(ne[1]) : 1;
    const size_t inputs = matrix.columns / (kw * kh);
    std::vector<float> out(matrix.rows * matrix.columns);
    for (size_t o = 0; o < matrix.rows; ++o) {
        const float * from = rows.data() + o * stored;
        for (size_t tap = 0; tap < kh * kw; ++tap) {
            for (size_t i = 0; i < inputs; ++i) {
                out[(o * inputs + i) * kh * kw + tap] = from[tap * inputs + i];
            }
        }
    }
    return out;
}

std::vector<float> Loader::conv_gain(const Operation & op) const {
    std::vector<float> gain(size_t(conv_outputs(op)), 1.0f);
    if (!op.conv.affine.empty()) {
        // The shuffle only moves values, so a channel's factor is that of both halves.
        const std::vector<float> scale = read(op.conv.affine + ".scale");
        for (size_t o = 0; o < gain.size(); ++o) {
            gain[o] = scale[o % scale.size()];
        }
    }
    return gain;
}

std::vector<float> Loader::conv_bias(const Operation & op) const {
    std::vector<float> bias = read(op.name + ".bias");
    if (!op.conv.affine.empty()) {
        const std::vector<float> gain = conv_gain(op), shift = read(op.conv.affine + ".bias");
        for (size_t o = 0; o < bias.size(); ++o) {
            bias[o] = bias[o] * gain[o] + shift[o % shift.size()];
        }
    }
    return bias;
}

std::vector<float> Loader::conv_weight(const Operation & op) const {
    std::vector<float> weight = read(op.name + ".weight");
    if (!op.conv.affine.empty()) {
        const std::vector<float> gain = conv_gain(op);
        const size_t each = weight.size() / gain.size();
        for (size_t i = 0; i < weight.size(); ++i) {
            weight[i] *= gain[i / each];
        }
    }
    return weight;
}

} // namespace localvqe
