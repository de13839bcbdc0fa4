#include "packing.h"

namespace localvqe {

std::vector<Panel> even_panels(const Kernels & kernels, int outputs, size_t taps, bool one_position) {
    const int lanes = kernels.lanes;
    const int vectors = (outputs + lanes - 1) / lanes;
    // Panels of equal width rather than a wide one and a sliver, such that accumulators, one row of weights and one
    // input fit the register file: 3 x 4 + 3 + 1 of 16, or 4 x 6 + 4 + 1 of 32.
    const int widest = one_position ? kMaxPanelVectors : kernels.registers >= 24 ? 4 : 3;
    const int n_panels = (vectors + widest - 1) / widest;
    std::vector<Panel> panels;
    size_t offset = 0;
    int first = 0;
    for (int i = 0; i < n_panels; ++i) {
        const int width = vectors / n_panels + (i < vectors % n_panels ? 1 : 0);
        panels.push_back({first * lanes, width, offset});
        offset += size_t(width) * size_t(lanes) * taps;
        first += width;
    }
    return panels;
}

void ConvWeights::lay_out(const Kernels & kernels, int outputs, int rows, int taps, bool one_position,
                          const std::function<float(int)> & bias) {
    panels_ = even_panels(kernels, outputs, size_t(rows) * size_t(taps), one_position);
    const int vectors = (outputs + kernels.lanes - 1) / kernels.lanes;
    bias_ = AlignedFloats(size_t(vectors) * size_t(kernels.lanes));
    for (int o = 0; o < outputs; ++o) {
        bias_[size_t(o)] = bias(o);
    }
    packed_.rows = rows;
    packed_.taps = taps;
    packed_.outputs = outputs;
    packed_.n_panels = int(panels_.size());
    packed_.panels = panels_.data();
    packed_.bias = bias_.data();
}

ConvWeights::ConvWeights(const Kernels & kernels, int outputs, int rows, int taps, bool one_position,
                         const std::function<float(int, int, int)> & weight, const std::function<float(int)> & bias) {
    lay_out(kernels, outputs, rows, taps, one_position, bias);
    weights_ = AlignedFloats(bias_.size() * size_t(rows) * size_t(taps));
    for (const Panel & panel : panels_) {
        const int width = panel.vectors * kernels.lanes;
        for (int row = 0; row < rows; ++row) {
            for (int tap = 0; tap < taps; ++tap) {
                float * to =
                    weights_.data() + panel.offset + (size_t(row) * size_t(taps) + size_t(tap)) * size_t(width);
                for (int o = 0; o < width && panel.first + o < outputs; ++o) {
                    to[o] = weight(panel.first + o, row, tap);
                }
            }
        }
    }
    packed_.weights = weights_.data();
}

ConvWeights::ConvWeights(const Kernels & kernels, int outputs, int rows, int taps, int block,
                         const std::function<int(int, int)> & integer, const std::function<float(int, int)> & scale,
                         const std::function<float(int)> & bias) {
    lay_out(kernels, outputs, rows, taps, false, bias);
    std::vector<int> first_column, length;
    for (int row = 0; row < rows; ++row) {
        for (int column = row * taps; column < (row + 1) * taps;) {
            const int block_end = (column / block + 1) * block;
            const int end = block_end < (row + 1) * taps ? block_end : (row + 1) * taps;
            segments_.push_back({row, column - row * taps, (end - column + 1) / 2});
            packed_.pairs += segments_.back().pairs;
            first_column.push_back(column);
            length.push_back(end - column);
            column = end;
        }
    }
    integers_ = AlignedFloats(bias_.size() * size_t(packed_.pairs));
    int16_t * const integers = reinterpret_cast<int16_t *>(integers_.data());
    scales_ = AlignedFloats(bias_.size() * segments_.size());
    for (const Panel & panel : panels_) {
        const int width = panel.vectors * kernels.lanes;
        int16_t * w = integers + size_t(panel.first) * size_t(packed_.pairs) * 2;
        float * scales = scales_.data() + size_t(panel.first) * segments_.size();
        for (size_t s = 0; s < segments_.size(); ++s, scales += width) {
            for (int o = 0; o < width && panel.first + o < outputs; ++o) {
                scales[o] = scale(panel.first + o, first_column[s] / block);
                for (int k = 0; k < length[s]; ++k) {
                    w[(k / 2 * width + o) * 2 + k % 2] = int16_t(integer(panel.first + o, first_column[s] + k));
                }
            }
            w += segments_[s].pairs * width * 2;
        }
    }
    packed_.integers = integers;
    packed_.scales = scales_.data();
    packed_.segments = segments_.data();
    packed_.n_segments = int(segments_.size());
}

} // namespace localvqe
