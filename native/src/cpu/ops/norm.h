// CausalGroupNorm (report, section 3): per-frame statistics over channels and bins, per-channel affine. It writes its
// result straight into the window of the convolution that follows.
#pragma once

#include "../graph.h"
#include "../kernels/kernels.h"
#include "../ring.h"

namespace localvqe {

// Normalises one frame made of the channels of `first`, then those of `second` (may be null), into `out`.
// gamma == null only puts them side by side: version 1 has no norms but still joins two features.
class NormOp : public Op {
public:
    NormOp(const Kernels & kernels, const float * gamma, const float * beta, const Frames & first,
           const Frames * second, Frames & out)
        : kernels_(kernels), gamma_(gamma), beta_(beta), sources_{&first, second}, out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; } // one frame takes less than the meeting

private:
    void apply(int t);

    const Kernels & kernels_;
    const float * gamma_;
    const float * beta_;
    const Frames * sources_[2];
    Frames & out_;
};

} // namespace localvqe
