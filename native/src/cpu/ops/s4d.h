// The diagonal recurrence of the bottleneck (report, 2.5), and the weighted copy beside it.
#pragma once

#include "../graph.h"
#include "../kernels/kernels.h"
#include "../ring.h"

namespace localvqe {

class S4dOp : public Op {
public:
    // coefficients: a_re, a_im, B_re, B_im, C_re, C_im, each [channels of v].
    S4dOp(const Kernels & kernels, const float * coefficients, const Frames & v, Frames & out)
        : kernels_(kernels), coefficients_(coefficients), state_(2 * size_t(v.channels())), v_(v), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int) const override { return false; } // a recurrence of a few hundred states
    void reset() override { state_.clear(); }

private:
    const Kernels & kernels_;
    const float * coefficients_;
    AlignedFloats state_; // h_re, h_im
    const Frames & v_;
    Frames & out_;
};

// Every value of a frame by a factor of its own.
class ScaleOp : public Op {
public:
    ScaleOp(const float * factors, const Frames & in, Frames & out) : factors_(factors), in_(in), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int) const override { return false; }

private:
    const float * factors_; // as a frame is laid out
    const Frames & in_;
    Frames & out_;
};

} // namespace localvqe
