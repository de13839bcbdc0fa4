// Attention over the past (report, 2.4). Keys, far-end features and similarities live in rings; nothing is copied as time
// moves on.
#pragma once

#include "../graph.h"
#include "../kernels/kernels.h"
#include "../ring.h"

#include <vector>

namespace localvqe {

// V[i] = sum_f Q[f] K[f] / sqrt(F) for every lag; index i is the lag d_max - 1 - i, oldest first.
class SimilarityOp : public Op {
public:
    SimilarityOp(const Kernels & kernels, const Frames & q, const Frames & k, Frames & out);
    void run(int frames, int thread, int n_threads) override;
    bool shared(int) const override { return true; }

private:
    const Kernels & kernels_;
    const Frames & q_;
    const Frames & k_;
    Frames & out_;
    float scale_;
};

// The smoothing over hops and lags down to one head, then softmax over the lags.
class SoftmaxLagsOp : public Op {
public:
    // weights: [hops][lags][channels of v].
    SoftmaxLagsOp(const Kernels & kernels, const float * weights, float bias, const Frames & v, Frames & out)
        : kernels_(kernels), weights_(weights), bias_(bias), v_(v), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; }

private:
    const Kernels & kernels_;
    const float * weights_;
    float bias_;
    const Frames & v_;
    Frames & out_;
};

// The far-end feature of each lag, weighted by the delay distribution.
class DelayedSumOp : public Op {
public:
    DelayedSumOp(const Kernels & kernels, const Frames & far, const Frames & delay, Frames & out);
    void run(int frames, int thread, int n_threads) override;
    bool shared(int) const override { return true; }

private:
    const Kernels & kernels_;
    const Frames & far_;
    const Frames & delay_;
    Frames & out_;
};

} // namespace localvqe
