#include "features.h"

namespace localvqe {
namespace {

class PowerLawOp : public Op {
public:
    PowerLawOp(const std::string & block, const Kernels & kernels, float c, const Frames & in, Frames & out)
        : Op(block), kernels_(kernels), c_(c), in_(in), out_(out) {}

    bool shared(int frames) const override { return frames > 1; }

    void run(int frames, int thread, int n_threads) override {
        for (int t = thread; t < frames; t += n_threads) {
            kernels_.power_law(in_.row(t), out_.row(t), in_.bins(), c_);
        }
    }

private:
    const Kernels & kernels_;
    float c_;
    const Frames & in_;
    Frames & out_;
};

class PlanarOp : public Op {
public:
    PlanarOp(const std::string & block, const Kernels &, const Frames & in, Frames & re, Frames & im)
        : Op(block), in_(in), re_(re), im_(im) {}

    bool shared(int frames) const override { return frames > 1; }

    void run(int frames, int thread, int n_threads) override {
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

private:
    const Frames & in_;
    Frames & re_;
    Frames & im_;
};

} // namespace

Frames & build_features(Builder & b, Frames & spectrum) {
    Frames & out = b.activation(spectrum.bins(), spectrum.channels());
    b.add<PowerLawOp>("features", b.config.power_law_c, spectrum, out);
    return out;
}

SpectrumHistory build_history(Builder & b, Frames & spectrum) {
    Frames & re = b.make(spectrum.bins(), 1, 2, 1, 1);
    Frames & im = b.make(spectrum.bins(), 1, 2, 1, 1);
    b.add<PlanarOp>("features", spectrum, re, im);
    return {&re, &im};
}

} // namespace localvqe
