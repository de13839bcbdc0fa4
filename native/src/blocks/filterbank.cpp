#include "filterbank.h"

#include "../weights.h"

namespace localvqe {
namespace {

// Overlap-add of neighbouring synthesised frames, in order.
class OverlapAddOp : public Op {
public:
    OverlapAddOp(const std::string & block, const Kernels &, float gain, const Frames & frames, AlignedFloats & tail, Frames & out)
        : Op(block), gain_(gain), in_(frames), tail_(tail), out_(out) {}

    bool shared(int) const override { return false; } // each frame needs the one before

    void run(int frames, int, int) override {
        float * tail = tail_.data();
        for (int t = 0; t < frames; ++t) {
            const float * frame = in_.row(t);
            float * out = out_.row(t);
            for (int i = 0; i < kHop; ++i) {
                out[i] = (tail[i] + frame[i]) * gain_;
                tail[i] = frame[kHop + i];
            }
        }
    }

private:
    float gain_;
    const Frames & in_;
    AlignedFloats & tail_;
    Frames & out_;
};

class AnalysisOp : public Op {
public:
    AnalysisOp(const std::string & block, const Kernels &, const Transform & transform, const Frames & samples, Frames & out)
        : Op(block), transform_(transform), in_(samples), out_(out) {}

    bool shared(int frames) const override { return frames > 1; }

    void run(int frames, int thread, int n_threads) override {
        for (int t = thread; t < frames; t += n_threads) {
            transform_.analyse(in_.row(t - 1), in_.row(t), out_.row(t));
        }
    }

private:
    const Transform & transform_;
    const Frames & in_;
    Frames & out_;
};

class SynthesisOp : public Op {
public:
    SynthesisOp(const std::string & block, const Kernels &, const Transform & transform, const Frames & spectrum, Frames & out)
        : Op(block), transform_(transform), in_(spectrum), out_(out) {}

    bool shared(int frames) const override { return frames > 1; }

    void run(int frames, int thread, int n_threads) override {
        for (int t = thread; t < frames; t += n_threads) {
            transform_.synthesise(in_.row(t), out_.row(t));
        }
    }

private:
    const Transform & transform_;
    const Frames & in_;
    Frames & out_;
};

} // namespace

Filterbank Filterbank::load(const Loader & loader, const ModelConfig & config) {
    Filterbank f;
    f.overlap_gain = config.version == 1 ? 0.5f : 1.0f;
    if (leaves_out_bases(loader.file)) {
        f.transform = standard_transform(config.version);
        return f;
    }
    const std::vector<float> encoder = loader.read("encoder.conv.weight");
    const std::vector<float> decoder = loader.read("decoder.linear.weight");
    f.transform = find_transform(encoder, decoder);
    if (f.transform != nullptr) {
        return f;
    }
    const auto no_bias = [](int) { return 0.0f; };
    // Two rows of one hop each: the previous hop and the current one.
    f.analysis.reset(new ConvWeights(
        loader.kernels, kFft, 2, kHop, true,
        [&](int o, int row, int tap) { return encoder[size_t(o) * kFft + size_t(row) * kHop + size_t(tap)]; }, no_bias));
    f.synthesis.reset(new ConvWeights(
        loader.kernels, kFft, 1, kFft, true,
        [&](int o, int, int tap) {
            const int channel = 2 * (tap % kBins) + tap / kBins; // planar input, interleaved weights
            return decoder[size_t(o) * kFft + size_t(channel)];
        },
        no_bias));
    return f;
}

Frames & Filterbank::build_analysis(Builder & b, const std::string & name, Frames & samples) const {
    Frames & spectrum = b.plain(kBins, 2);
    if (transform != nullptr) {
        b.add<AnalysisOp>("analysis", *transform, samples, spectrum);
    } else {
        ConvShape shape;
        shape.positions = 1;
        add_conv(b, "analysis", *analysis, shape, samples, nullptr, spectrum);
    }
    b.taps.push_back({name, &spectrum, kBins, 2, 2, 1});
    return spectrum;
}

Frames & Filterbank::build_synthesis(Builder & b, Frames & enhanced, AlignedFloats & tail) const {
    Frames & frame = b.plain(1, kFft);
    if (transform != nullptr) {
        b.add<SynthesisOp>("synthesis", *transform, enhanced, frame);
    } else {
        ConvShape shape;
        shape.positions = 1;
        add_conv(b, "synthesis", *synthesis, shape, enhanced, nullptr, frame);
    }
    Frames & out = b.plain(1, kHop);
    b.add<OverlapAddOp>("synthesis", overlap_gain, frame, tail, out);
    return out;
}

} // namespace localvqe
