#include "attention.h"

#include "../../error.h"
#include "../../net.h"

#include <cmath>

namespace localvqe {

SimilarityOp::SimilarityOp(const Kernels & kernels, const Frames & q, const Frames & k, Frames & out)
    : kernels_(kernels), q_(q), k_(k), out_(out), scale_(1.0f / std::sqrt(float(q.bins()))) {}

void SimilarityOp::run(int frames, int thread, int n_threads) {
    const int dmax = out_.bins();
    const int total = frames * dmax;
    for (int i = total * thread / n_threads; i < total * (thread + 1) / n_threads; ++i) {
        const int t = i / dmax;
        const int lag = dmax - 1 - i % dmax;
        kernels_.similarity(q_.row(t), k_.row(t - lag), q_.bins(), q_.channels(), scale_,
                            out_.row(t) + size_t(i % dmax) * size_t(out_.channels()));
    }
}

void SoftmaxLagsOp::run(int frames, int thread, int n_threads) {
    const int width = v_.channels();
    for (int t = thread; t < frames; t += n_threads) {
        float * out = out_.row(t);
        for (int i = 0; i < v_.bins(); ++i) {
            const float * window[kSmoothHops];
            for (int r = 0; r < kSmoothHops; ++r) {
                window[r] = v_.row(t - (kSmoothHops - 1) + r) + (i - 1) * width; // one zero lag on the left
            }
            out[i] = bias_ + kernels_.dot(window, weights_, kSmoothHops, kSmoothLags * width);
        }
        kernels_.softmax(out, v_.bins());
    }
}

DelayedSumOp::DelayedSumOp(const Kernels & kernels, const Frames & far, const Frames & delay, Frames & out)
    : kernels_(kernels), far_(far), delay_(delay), out_(out) {
    if (delay.bins() > limits::dmax.high) { // rows of run()
        throw Error("attention over " + std::to_string(delay.bins()) + " hops, at most " +
                    std::to_string(limits::dmax.high));
    }
}

void DelayedSumOp::run(int frames, int thread, int n_threads) {
    const float * rows[limits::dmax.high];
    static_assert(sizeof rows <= kMostStack, "the range of dmax asks too much of a thread's stack");
    const int dmax = delay_.bins();
    const int width = out_.bins() * out_.channels();
    for (int t = 0; t < frames; ++t) {
        for (int i = 0; i < dmax; ++i) {
            rows[i] = far_.row(t - (dmax - 1 - i));
        }
        // Shares end on whole cache lines, away from each other's vectors.
        const int lines = (width + 15) / 16;
        const int first = lines * thread / n_threads * 16;
        const int last = lines * (thread + 1) / n_threads * 16;
        kernels_.weighted_sum(rows, delay_.row(t), dmax, out_.row(t), first, last < width ? last : width);
    }
}

} // namespace localvqe
