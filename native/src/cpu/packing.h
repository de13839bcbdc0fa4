// Owns the weights of a convolution in the order a kernel set reads them.
#pragma once

#include "../aligned.h"
#include "kernels/kernels.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace localvqe {

// Output channels as panels whose offsets say where their weights begin, when each output has `taps` of them.
std::vector<Panel> even_panels(const Kernels & kernels, int outputs, size_t taps, bool one_position);

class ConvWeights {
public:
    // weight(output, row, tap) and bias(output) are asked once per element. `outputs` beyond those that exist in the
    // model may be requested; the callbacks return 0 for them. one_position: the layer is applied to one position at a
    // time (a linear layer), which wants wide panels.
    ConvWeights(const Kernels & kernels, int outputs, int rows, int taps, bool one_position,
                const std::function<float(int, int, int)> & weight, const std::function<float(int)> & bias);
    // The same for int_conv: weights become integers, with a scale for each output and segment.
    static std::unique_ptr<ConvWeights> integers(const Kernels & kernels, int outputs, int rows, int taps,
                                                 const std::function<float(int, int, int)> & weight,
                                                 const std::function<float(int)> & bias);
    ConvWeights(const ConvWeights &) = delete;
    ConvWeights & operator=(const ConvWeights &) = delete;

    const PackedConv & packed() const { return packed_; }
    bool integer() const { return packed_.integers != nullptr; }
    size_t bytes() const {
        return (integers_.size() + scales_.size() + weights_.size() + bias_.size()) * sizeof(float);
    }

    std::string tensor; // whose weights these are; empty for the codec

private:
    ConvWeights() = default;
    void lay_out(const Kernels & kernels, int outputs, int rows, int taps, bool one_position,
                 const std::function<float(int)> & bias);

    std::vector<Panel> panels_;
    std::vector<Segment> segments_;
    AlignedFloats integers_; // two integers each
    AlignedFloats scales_;
    AlignedFloats weights_;
    AlignedFloats bias_;
    PackedConv packed_;
};

} // namespace localvqe
