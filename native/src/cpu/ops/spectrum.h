// What happens to spectra: gain, magnitude compression, and the mask.
#pragma once

#include "../graph.h"
#include "../kernels/kernels.h"
#include "../ring.h"

namespace localvqe {

// Every channel of a bin by the bin's factor.
class GainOp : public Op {
public:
    GainOp(const Frames & in, const Frames & gain, Frames & out) : in_(in), gain_(gain), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; }

private:
    const Frames & in_;
    const Frames & gain_;
    Frames & out_;
};

class PowerLawOp : public Op {
public:
    PowerLawOp(const Kernels & kernels, float c, const Frames & in, Frames & out)
        : kernels_(kernels), c_(c), in_(in), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; }

private:
    const Kernels & kernels_;
    float c_;
    const Frames & in_;
    Frames & out_;
};

// The planar copy of a spectrum that the mask reads: its last three hops, with one zero bin on either side.
class PlanarOp : public Op {
public:
    PlanarOp(const Frames & in, Frames & re, Frames & im) : in_(in), re_(re), im_(im) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; }

private:
    const Frames & in_;
    Frames & re_;
    Frames & im_;
};

// mask: planar, (27, 256); the result is planar as well.
class MaskOp : public Op {
public:
    MaskOp(const Kernels & kernels, const Frames & mask, const Frames & re, const Frames & im, Frames & out)
        : kernels_(kernels), mask_(mask), re_(re), im_(im), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; }

private:
    const Kernels & kernels_;
    const Frames & mask_;
    const Frames & re_;
    const Frames & im_;
    Frames & out_;
};

} // namespace localvqe
