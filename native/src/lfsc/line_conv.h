// A convolution along time over channel-last signals: each output reads a contiguous window, so the product is that of
// the kernel sets (cpu/kernels/kernels.h).
#pragma once

#include "packed_weights.h"
#include "signal.h"

#include <vector>

namespace localvqe {
namespace lfsc {

// What a thread needs beside signals, kept from one tile to the next.
struct Workspace {
    Windows windows;
    AlignedFloats weights;
    AlignedFloats outputs;
};

class LineConv {
public:
    // Position p of a window meets tap taps[p] of the weight.
    LineConv(const Kernels & kernels, const Weight & weight, const std::vector<int> & taps)
        : kernels_(kernels), weights_(kernels, weight, taps) {}

    int outputs() const { return weights_.outputs(); }

    // `count` outputs, whose windows begin `skip` positions behind those that are laid out in `workspace`. Output p goes
    // to out + p * out_step, with what stands in the same place of `residual` added, if that is not null.
    void run(Workspace & workspace, int skip, int count, float * out, int out_step, const float * residual) const;

private:
    const Kernels & kernels_;
    PackedWeights weights_;
};

} // namespace lfsc
} // namespace localvqe
