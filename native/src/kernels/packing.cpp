#include "packing.h"

namespace localvqe {

ConvWeights::ConvWeights(const Kernels & kernels, int outputs, int rows, int taps, bool one_position,
                         const std::function<float(int, int, int)> & weight, const std::function<float(int)> & bias) {
    const int lanes = kernels.lanes;
    const int vectors = (outputs + lanes - 1) / lanes;
    // Panels of equal width rather than a wide one and a sliver, such that accumulators, one row of weights and one
    // input fit the register file: 3 x 4 + 3 + 1 of 16, or 4 x 6 + 4 + 1 of 32.
    const int widest = one_position ? kMaxPanelVectors : kernels.registers >= 24 ? 4 : 3;
    const int n_panels = (vectors + widest - 1) / widest;
    size_t offset = 0;
    int first = 0;
    for (int i = 0; i < n_panels; ++i) {
        const int width = vectors / n_panels + (i < vectors % n_panels ? 1 : 0);
        panels_.push_back({first * lanes, width, offset});
        offset += size_t(width) * size_t(lanes) * size_t(rows) * size_t(taps);
        first += width;
    }
    weights_ = AlignedFloats(offset);
    bias_ = AlignedFloats(size_t(vectors) * size_t(lanes));
    for (int o = 0; o < outputs; ++o) {
        bias_[size_t(o)] = bias(o);
    }
    for (const Panel & panel : panels_) {
        const int width = panel.vectors * lanes;
        for (int row = 0; row < rows; ++row) {
            for (int tap = 0; tap < taps; ++tap) {
                float * to = weights_.data() + panel.offset + (size_t(row) * size_t(taps) + size_t(tap)) * size_t(width);
                for (int o = 0; o < width && panel.first + o < outputs; ++o) {
                    to[o] = weight(panel.first + o, row, tap);
                }
            }
        }
    }
    packed_.rows = rows;
    packed_.taps = taps;
    packed_.outputs = outputs;
    packed_.n_panels = n_panels;
    packed_.panels = panels_.data();
    packed_.weights = weights_.data();
    packed_.bias = bias_.data();
}

} // namespace localvqe
