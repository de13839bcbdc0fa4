#include "mask.h"

namespace localvqe {
namespace {

class MaskOp : public Op {
public:
    MaskOp(const std::string & block, const Kernels & kernels, const Frames & mask, const SpectrumHistory & mic, Frames & out)
        : Op(block), kernels_(kernels), mask_(mask), mic_(mic), out_(out) {}

    bool shared(int frames) const override { return frames > 1; }

    void run(int frames, int thread, int n_threads) override {
        constexpr int kBlock = 16; // a multiple of every vector width
        const int blocks = kBins / kBlock;
        const int first = blocks * thread / n_threads * kBlock;
        const int last = blocks * (thread + 1) / n_threads * kBlock;
        for (int t = 0; t < frames; ++t) {
            const float * re[3] = {mic_.re->row(t - 2), mic_.re->row(t - 1), mic_.re->row(t)};
            const float * im[3] = {mic_.im->row(t - 2), mic_.im->row(t - 1), mic_.im->row(t)};
            float * out = out_.row(t);
            kernels_.mask(mask_.row(t), kBins, re, im, out, out + kBins, first, last);
        }
    }

private:
    const Kernels & kernels_;
    const Frames & mask_;
    SpectrumHistory mic_;
    Frames & out_;
};

} // namespace

Frames & build_mask(Builder & b, Frames & mask, const SpectrumHistory & mic) {
    Frames & out = b.plain(1, 2 * kBins);
    b.add<MaskOp>("mask", mask, mic, out);
    b.taps.push_back({"enhanced", &out, kBins, 2, 1, kBins});
    return out;
}

} // namespace localvqe
