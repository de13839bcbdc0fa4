// The filterbank by fast transforms, and its overlap-add.
#pragma once

#include "../../transform.h"
#include "../graph.h"
#include "../ring.h"

namespace localvqe {

class AnalysisOp : public Op {
public:
    AnalysisOp(const Transform & transform, const Frames & samples, Frames & out)
        : transform_(transform), in_(samples), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; }

private:
    const Transform & transform_;
    const Frames & in_;
    Frames & out_;
};

// Planar spectra to frames of 512 samples.
class SynthesisOp : public Op {
public:
    SynthesisOp(const Transform & transform, const Frames & spectrum, Frames & out)
        : transform_(transform), in_(spectrum), out_(out) {}
    void run(int frames, int thread, int n_threads) override;
    bool shared(int frames) const override { return frames > 1; }

private:
    const Transform & transform_;
    const Frames & in_;
    Frames & out_;
};

// Overlap-add of neighbouring frames, in order.
class OverlapAddOp : public Op {
public:
    OverlapAddOp(float gain, const Frames & frames, Frames & out);
    void run(int frames, int thread, int n_threads) override;
    bool shared(int) const override { return false; } // each frame needs the one before
    void reset() override { tail_.clear(); }

private:
    float gain_;
    const Frames & in_;
    AlignedFloats tail_; // the second half of the frame before
    Frames & out_;
};

} // namespace localvqe
