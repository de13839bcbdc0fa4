// Attention over the past (report, 2.4). Keys, far-end features and similarities live in rings; nothing is copied as time
// moves on.
#pragma once

#include "../graph.h"
#include "../kernels/kernels.h"
#include "../ring.h"

#include <vector>

namespace localvqe {

// Do so many rows of past frames take long enough to be shared among threads? They come from the second-level cache or
// beyond, a kilobyte in some 50 ns.
inline bool reads_enough(int rows, const Frames & frames) {
    return size_t(rows) * size_t(frames.bins()) * size_t(frames.channels()) * sizeof(float) > 64 * 1024;
}

// V[i] = sum_f Q[f] K[f] / sqrt(F) for every lag; index i is the lag d_max - 1 - i, oldest first.
class SimilarityOp : public Op {
public:
    SimilarityOp(const Kernels & kernels, const Frames & q, const Frames & k, Frames & out);
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return reads_enough(frames * out_.bins(), k_); }

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
    bool shared(int frames) const override { return reads_enough(frames * delay_.bins(), far_); }

private:
    const Kernels & kernels_;
    const Frames & far_;
    const Frames & delay_;
    Frames & out_;
};

} // namespace localvqe
