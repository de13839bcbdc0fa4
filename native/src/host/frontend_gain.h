// The learned controller of the front-end's gain; twin of localvqe_cli/reference/frontend_gain.py. Only models whose
// localvqe.frontend.gain_hidden is not 0 have one.
#pragma once

#include "../aligned.h"
#include "../config.h"
#include "../cpu/kernels/kernels.h"

#include <vector>

namespace localvqe {

struct Loader;

// Its weights.
class FrontendGain {
public:
    FrontendGain(const Loader & loader, int hidden);

    GainWeights weights() const;

private:
    int hidden_;
    std::vector<float> weight_ih_, weight_hh_, bias_ih_, bias_hh_, out_weight_, out_bias_;
};

// What it keeps between two hops of one stream.
class FrontendGainState {
public:
    // stride: floats from one row of bins to the next.
    FrontendGainState(const FrontendGain & gain, int bins, int stride);
    void reset();

    // The factors of one hop.
    void step(const Kernels & k, const GainInputs & in, bool first);
    const float * noise_factor() const { return noise_factor_.data(); }
    const float * process_factor() const { return process_factor_.data(); }

private:
    GainWeights weights_;
    int bins_;
    int stride_;
    AlignedFloats levels_;  // ten rows
    AlignedFloats hidden_;  // (hidden, stride)
    AlignedFloats scratch_; // as much
    AlignedFloats features_, noise_factor_, process_factor_;
    float tonality_ = 0.0f;
};

} // namespace localvqe
