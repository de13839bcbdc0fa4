#include "packing.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace localvqe {
namespace {

// The smallest step such that the integers of a segment add up to kLargestWeights at most, however they are rounded; 0
// where there is nothing to multiply with.
float integer_scale(const std::vector<float> & weights) {
    double sum = 0.0, largest = 0.0;
    for (float w : weights) {
        const double size = std::fabs(double(w));
        sum += size;
        largest = std::max(largest, size);
    }
    const double rounding = 0.5 * double(weights.size()) + 1.0; // 1 for that of the scale itself
    const double scale = std::max(sum / (kLargestWeights - rounding), largest / 32766.0);
    // Infinite weights make the output run away, as they would in floats, and that is found where outputs are looked at.
    return !(scale < double(std::numeric_limits<float>::max())) ? std::numeric_limits<float>::infinity()
           : scale > 1e-30                                      ? float(scale)
                                                                : 0.0f;
}

int16_t integer_of(float weight, float scale) {
    return std::isfinite(scale) && scale > 0.0f ? int16_t(std::lround(double(weight) / double(scale))) : int16_t(0);
}

} // namespace

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

std::unique_ptr<ConvWeights> ConvWeights::integers(const Kernels & kernels, int outputs, int rows, int taps,
                                                   const std::function<float(int, int, int)> & weight,
                                                   const std::function<float(int)> & bias) {
    std::unique_ptr<ConvWeights> made(new ConvWeights());
    made->lay_out(kernels, outputs, rows, taps, false, bias);
    PackedConv & packed = made->packed_;
    // Even lengths, so that only a row's last pair can be half empty.
    const int n = (taps + kSegmentTaps - 1) / kSegmentTaps, most = ((taps + n - 1) / n + 1) / 2 * 2;
    for (int row = 0; row < rows; ++row) {
        for (int tap = 0; tap < taps; tap += most) {
            made->segments_.push_back({row, tap, (std::min(most, taps - tap) + 1) / 2});
            packed.pairs += made->segments_.back().pairs;
        }
    }
    made->integers_ = AlignedFloats(made->bias_.size() * size_t(packed.pairs));
    made->scales_ = AlignedFloats(made->bias_.size() * made->segments_.size());
    int16_t * const integers = reinterpret_cast<int16_t *>(made->integers_.data());
    std::vector<float> values;
    for (const Panel & panel : made->panels_) {
        const int width = panel.vectors * kernels.lanes;
        int16_t * w = integers + size_t(panel.first) * size_t(packed.pairs) * 2;
        float * scales = made->scales_.data() + size_t(panel.first) * made->segments_.size();
        for (const Segment & segment : made->segments_) {
            for (int o = 0; o < width && panel.first + o < outputs; ++o) {
                values.clear();
                for (int tap = segment.tap; tap < std::min(segment.tap + 2 * segment.pairs, taps); ++tap) {
                    values.push_back(weight(panel.first + o, segment.row, tap));
                }
                scales[o] = integer_scale(values);
                for (size_t k = 0; k < values.size(); ++k) {
                    w[(k / 2 * size_t(width) + size_t(o)) * 2 + k % 2] = integer_of(values[k], scales[o]);
                }
            }
            scales += width;
            w += segment.pairs * width * 2;
        }
    }
    packed.integers = integers;
    packed.scales = made->scales_.data();
    packed.segments = made->segments_.data();
    packed.n_segments = int(made->segments_.size());
    return made;
}

} // namespace localvqe
