#include "align.h"

#include "../weights.h"

#include <cmath>

namespace localvqe {
namespace {

constexpr int kSmoothFrames = 5;
constexpr int kSmoothLags = 3;

std::unique_ptr<ConvWeights> load_projection(const Loader & loader, const std::string & name, int inputs, int hidden, int padded) {
    const std::vector<float> weight = loader.read(name + ".weight");
    const std::vector<float> bias = loader.read(name + ".bias");
    std::unique_ptr<ConvWeights> packed(new ConvWeights(
        loader.kernels, padded, 1, inputs, false,
        [&](int o, int, int tap) { return o < hidden ? weight[size_t(o) * size_t(inputs) + size_t(tap)] : 0.0f; },
        [&](int o) { return o < hidden ? bias[size_t(o)] : 0.0f; }));
    packed->tensor = name + ".weight";
    return packed;
}

// V[i] = sum_f Q[f] K[f] / sqrt(F) for every lag; index i is the lag d_max - 1 - i, oldest first.
class SimilarityOp : public Op {
public:
    SimilarityOp(const std::string & block, const Kernels & kernels, const Frames & q, const Frames & k, Frames & out)
        : Op(block), kernels_(kernels), q_(q), k_(k), out_(out), scale_(1.0f / std::sqrt(float(q.bins()))) {}

    bool shared(int) const override { return true; }
    ReadDemand read_demand() const override { return {k_.memory(), 0}; }

    void run(int frames, int thread, int n_threads) override {
        const int dmax = out_.bins();
        const int total = frames * dmax;
        for (int i = total * thread / n_threads; i < total * (thread + 1) / n_threads; ++i) {
            const int t = i / dmax;
            const int lag = dmax - 1 - i % dmax;
            kernels_.similarity(q_.row(t), k_.row(t - lag), q_.bins(), q_.channels(), scale_,
                                out_.row(t) + size_t(i % dmax) * size_t(out_.channels()));
        }
    }

private:
    const Kernels & kernels_;
    const Frames & q_;
    const Frames & k_;
    Frames & out_;
    float scale_;
};

// The (5, 3) smoothing over time and lag down to one head, then softmax over the lags.
class DelayOp : public Op {
public:
    DelayOp(const std::string & block, const Kernels & kernels, const float * weights, float bias, const Frames & v, Frames & out)
        : Op(block), kernels_(kernels), weights_(weights), bias_(bias), v_(v), out_(out) {}

    bool shared(int frames) const override { return frames > 1; }

    void run(int frames, int thread, int n_threads) override {
        const int width = v_.channels();
        for (int t = thread; t < frames; t += n_threads) {
            float * out = out_.row(t);
            for (int i = 0; i < v_.bins(); ++i) {
                const float * window[kSmoothFrames];
                for (int r = 0; r < kSmoothFrames; ++r) {
                    window[r] = v_.row(t - (kSmoothFrames - 1) + r) + (i - 1) * width; // one zero lag on the left
                }
                out[i] = bias_ + kernels_.dot(window, weights_, kSmoothFrames, kSmoothLags * width);
            }
            kernels_.softmax(out, v_.bins());
        }
    }

private:
    const Kernels & kernels_;
    const float * weights_;
    float bias_;
    const Frames & v_;
    Frames & out_;
};

// The far-end feature of each lag, weighted by the delay distribution.
class SoftDelayOp : public Op {
public:
    SoftDelayOp(const std::string & block, const Kernels & kernels, const Frames & far, const Frames & delay, Frames & out)
        : Op(block), kernels_(kernels), far_(far), delay_(delay), out_(out) {}

    bool shared(int) const override { return true; }
    ReadDemand read_demand() const override { return {far_.memory(), 0}; }

    void run(int frames, int thread, int n_threads) override {
        constexpr int kMaxLags = 512;
        const float * rows[kMaxLags];
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

private:
    const Kernels & kernels_;
    const Frames & far_;
    const Frames & delay_;
    Frames & out_;
};

} // namespace

Align Align::load(const Loader & loader, const ModelConfig & config) {
    Align a;
    const int hidden = config.align_hidden;
    a.hidden = round_up(hidden, loader.kernels.lanes);
    a.pconv_mic = load_projection(loader, "align.pconv_mic", config.mic_channels[2], hidden, a.hidden);
    a.pconv_ref = load_projection(loader, "align.pconv_ref", config.far_channels[2], hidden, a.hidden);
    const std::vector<float> weight = loader.read("align.conv.1.weight"); // (1, hidden, 5, 3)
    a.smooth = AlignedFloats(size_t(kSmoothFrames) * kSmoothLags * size_t(a.hidden));
    for (int h = 0; h < hidden; ++h) {
        for (int r = 0; r < kSmoothFrames; ++r) {
            for (int s = 0; s < kSmoothLags; ++s) {
                a.smooth[(size_t(r) * kSmoothLags + size_t(s)) * size_t(a.hidden) + size_t(h)] =
                    weight[(size_t(h) * kSmoothFrames + size_t(r)) * kSmoothLags + size_t(s)];
            }
        }
    }
    a.smooth_bias = loader.read("align.conv.1.bias")[0];
    return a;
}

Frames & Align::build(Builder & b, Frames & mic, Frames & far) const {
    const int dmax = b.config.dmax;
    ConvShape one;
    one.positions = mic.bins();
    Frames & q = b.plain(mic.bins(), hidden);
    add_conv(b, "align", *pconv_mic, one, mic, nullptr, q);
    Frames & k = b.make(far.bins(), hidden, dmax - 1, 0, 0);
    add_conv(b, "align", *pconv_ref, one, far, nullptr, k);
    Frames & v = b.make(dmax, hidden, kSmoothFrames - 1, 1, 1);
    b.add<SimilarityOp>("align", q, k, v);
    Frames & delay = b.plain(dmax, 1);
    b.add<DelayOp>("align", smooth.data(), smooth_bias, v, delay);
    b.taps.push_back({"delay", &delay, dmax, 1, 1, 1});
    Frames & out = b.plain(far.bins(), far.channels());
    b.add<SoftDelayOp>("align", far, delay, out);
    b.tap("align", out);
    return out;
}

} // namespace localvqe
