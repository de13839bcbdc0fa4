// A convolution along time over channel-last signals: each output reads a contiguous window, so the product is that of
// the kernel sets (cpu/kernels/kernels.h).
#pragma once

#include "../cpu/packing.h"

#include <functional>
#include <memory>
#include <vector>

namespace localvqe {

class ThreadTeam;

namespace lfsc {

class LineConv {
public:
    // weight(output, position in the window, input) and bias(output).
    LineConv(const Kernels & kernels, int outputs, int window, int inputs,
             const std::function<float(int, int, int)> & weight, const std::function<float(int)> & bias);

    int outputs() const { return outputs_; }

    // `count` outputs; windows start at x and each `step` floats further. Output p goes to out + p * out_step, which has
    // room for it, with what stands in the same place of `residual` added, if that is not null.
    void run(const float * x, int step, int count, float * out, int out_step, const float * residual,
             ThreadTeam & team) const;

private:
    const Kernels & kernels_;
    int outputs_;
    // The taps of a window in blocks of which a panel's weights stay in the cache while many positions pass.
    struct Block {
        int first;
        std::unique_ptr<ConvWeights> weights;
    };
    std::vector<Block> blocks_;
};

} // namespace lfsc
} // namespace localvqe
