// CausalGroupNorm (report, section 3): per-frame statistics over channels and bins, per-channel affine. It writes its
// result straight into the window of the convolution that follows.
#pragma once

#include "../kernels/packing.h"
#include "builder.h"

#include <memory>
#include <vector>

namespace localvqe {

struct Loader;

struct NormWeights {
    std::vector<float> gamma;
    std::vector<float> beta;
};

NormWeights load_norm(const Loader & loader, const std::string & name);

// Normalises one frame made of the channels of `first`, then those of `second` (may be null), into `out`.
// weights == null copies without normalising: version 1 has no norms but still joins two features.
class NormOp : public Op {
public:
    NormOp(const std::string & block, const Kernels & kernels, const NormWeights * weights, const Frames & first,
           const Frames * second, Frames & out);
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; } // one frame takes less than the meeting

private:
    void apply(int t);

    const Kernels & kernels_;
    const NormWeights * weights_;
    const Frames * sources_[2];
    Frames & out_;
};

// What a convolution of these weights reads: the normalised input, or in version 1 the input itself; a window, unless an
// integer convolution makes its own.
Frames & conv_input(Builder & b, const std::string & block, const NormWeights * weights, const ConvWeights & conv, Frames & in);

} // namespace localvqe
