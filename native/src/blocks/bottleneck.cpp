#include "bottleneck.h"

#include "../weights.h"

namespace localvqe {
namespace {

class S4dOp : public Op {
public:
    S4dOp(const std::string & block, const Kernels & kernels, const Bottleneck & weights, AlignedFloats & state, const Frames & u,
          const Frames & v, Frames & y, Frames & skip)
        : Op(block), kernels_(kernels), weights_(weights), state_(state), u_(u), v_(v), y_(y), skip_(skip) {}

    bool shared(int) const override { return false; } // a recurrence of a few hundred states

    void run(int frames, int, int) override {
        const int features = u_.bins() * u_.channels();
        for (int t = 0; t < frames; ++t) {
            kernels_.s4d_step(weights_.coefficients.data(), state_.data(), v_.row(t), y_.row(t), weights_.hidden);
            const float * u = u_.row(t);
            float * out = skip_.row(t);
            for (int i = 0; i < features; ++i) {
                out[i] = weights_.skip[size_t(i)] * u[i];
            }
        }
    }

private:
    const Kernels & kernels_;
    const Bottleneck & weights_;
    AlignedFloats & state_;
    const Frames & u_;
    const Frames & v_;
    Frames & y_;
    Frames & skip_;
};

} // namespace

Bottleneck Bottleneck::load(const Loader & loader, const ModelConfig & config) {
    Bottleneck n;
    const int hidden = config.bottleneck_hidden;
    const int channels = config.mic_channels[kMicStages];
    const int bins = config.freqs(kMicStages);
    const int features = channels * bins;
    n.hidden = round_up(hidden, loader.kernels.lanes);
    // The model flattens (C, F'); a channel-last row is (F', C).
    const auto flat = [=](int i) { return size_t(i % channels) * size_t(bins) + size_t(i / channels); };

    const std::vector<float> in_weight = loader.read("bottleneck.input_proj.weight");
    const std::vector<float> in_bias = loader.read("bottleneck.input_proj.bias");
    n.input_proj.reset(new ConvWeights(
        loader.kernels, n.hidden, 1, features, true,
        [&](int o, int, int tap) { return o < hidden ? in_weight[size_t(o) * size_t(features) + flat(tap)] : 0.0f; },
        [&](int o) { return o < hidden ? in_bias[size_t(o)] : 0.0f; }));
    n.input_proj->tensor = "bottleneck.input_proj.weight";

    const std::vector<float> out_weight = loader.read("bottleneck.output_proj.weight");
    const std::vector<float> out_bias = loader.read("bottleneck.output_proj.bias");
    n.output_proj.reset(new ConvWeights(
        loader.kernels, features, 1, n.hidden, true,
        [&](int o, int, int tap) { return tap < hidden ? out_weight[flat(o) * size_t(hidden) + size_t(tap)] : 0.0f; },
        [&](int o) { return out_bias[flat(o)]; }));
    n.output_proj->tensor = "bottleneck.output_proj.weight";

    n.coefficients = AlignedFloats(size_t(n.hidden) * 6);
    size_t at = 0;
    for (const char * part : {"a_real", "a_imag", "B_real", "B_imag", "C_real", "C_imag"}) {
        const std::vector<float> values = loader.read(std::string("bottleneck.") + part);
        for (size_t i = 0; i < values.size(); ++i) {
            n.coefficients[at + i] = values[i];
        }
        at += size_t(n.hidden);
    }
    const std::vector<float> d = loader.read("bottleneck.D");
    n.skip = AlignedFloats(size_t(features));
    for (int i = 0; i < features; ++i) {
        n.skip[size_t(i)] = d[flat(i)];
    }
    return n;
}

Frames & Bottleneck::build(Builder & b, Frames & in, AlignedFloats & state) const {
    ConvShape linear;
    linear.positions = 1;
    Frames & v = b.plain(1, hidden);
    add_conv(b, "bottleneck", *input_proj, linear, in, nullptr, v);
    Frames & y = b.plain(1, hidden);
    Frames & skipped = b.plain(in.bins(), in.channels());
    b.add<S4dOp>("bottleneck", *this, state, in, v, y, skipped);
    Frames & out = b.activation(in.bins(), in.channels());
    add_conv(b, "bottleneck", *output_proj, linear, y, &skipped, out);
    b.tap("bottleneck", out);
    return out;
}

} // namespace localvqe
