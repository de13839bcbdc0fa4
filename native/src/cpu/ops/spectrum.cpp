#include "spectrum.h"

#include "../../config.h"

namespace localvqe {

void GainOp::run(int frames, int thread, int n_threads) {
    const int channels = in_.channels();
    for (int t = thread; t < frames; t += n_threads) {
        const float * x = in_.row(t);
        const float * g = gain_.row(t);
        float * out = out_.row(t);
        for (int f = 0; f < in_.bins(); ++f) {
            for (int c = 0; c < channels; ++c) {
                out[f * channels + c] = x[f * channels + c] * g[f];
            }
        }
    }
}

void PowerLawOp::run(int frames, int thread, int n_threads) {
    for (int t = thread; t < frames; t += n_threads) {
        kernels_.power_law(in_.row(t), out_.row(t), in_.bins(), c_);
    }
}

void PlanarOp::run(int frames, int thread, int n_threads) {
    for (int t = thread; t < frames; t += n_threads) {
        const float * from = in_.row(t);
        float * re = re_.row(t);
        float * im = im_.row(t);
        for (int f = 0; f < in_.bins(); ++f) {
            re[f] = from[2 * f];
            im[f] = from[2 * f + 1];
        }
    }
}

void MaskOp::run(int frames, int thread, int n_threads) {
    constexpr int kBlock = 16; // a multiple of every vector width
    const int blocks = kBins / kBlock;
    const int first = blocks * thread / n_threads * kBlock;
    const int last = blocks * (thread + 1) / n_threads * kBlock;
    for (int t = 0; t < frames; ++t) {
        const float * re[3] = {re_.row(t - 2), re_.row(t - 1), re_.row(t)};
        const float * im[3] = {im_.row(t - 2), im_.row(t - 1), im_.row(t)};
        float * out = out_.row(t);
        kernels_.mask(mask_.row(t), kBins, re, im, out, out + kBins, first, last);
    }
}

} // namespace localvqe
