#include "frontend_gain.h"

#include "../weights.h"

namespace localvqe {

FrontendGain::FrontendGain(const Loader & loader, int hidden)
    : hidden_(hidden), weight_ih_(loader.read("frontend.gain.weight_ih")),
      weight_hh_(loader.read("frontend.gain.weight_hh")), bias_ih_(loader.read("frontend.gain.bias_ih")),
      bias_hh_(loader.read("frontend.gain.bias_hh")), out_weight_(loader.read("frontend.gain.out.weight")),
      out_bias_(loader.read("frontend.gain.out.bias")) {}

GainWeights FrontendGain::weights() const {
    return {hidden_,         weight_ih_.data(),  weight_hh_.data(), bias_ih_.data(),
            bias_hh_.data(), out_weight_.data(), out_bias_.data()};
}

FrontendGainState::FrontendGainState(const FrontendGain & gain, int bins, int stride)
    : weights_(gain.weights()), bins_(bins), stride_(stride), levels_(10 * size_t(stride)),
      hidden_(size_t(weights_.hidden) * size_t(stride)), scratch_(hidden_.size()),
      features_(kGainFeatures * size_t(stride)), noise_factor_(size_t(stride)), process_factor_(size_t(stride)) {}

void FrontendGainState::reset() {
    levels_.clear();
    hidden_.clear();
    tonality_ = 0.0f;
}

void FrontendGainState::step(const Kernels & k, const GainInputs & in, bool first) {
    const auto row = [&](int i) { return levels_.data() + size_t(i) * size_t(stride_); };
    GainLevels levels{row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7), row(8), row(9), &tonality_};
    k.gain_features(in, first, bins_, levels, features_.data(), stride_);
    k.gain_step(weights_, features_.data(), tonality_, hidden_.data(), scratch_.data(), noise_factor_.data(),
                process_factor_.data(), stride_);
}

} // namespace localvqe
