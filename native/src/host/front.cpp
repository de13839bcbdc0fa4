#include "front.h"

#include <cmath>
#include <cstring>

namespace localvqe {
namespace {

constexpr float kLimit = 1e6f;
constexpr int kGains = ResidualEchoState::kGains;

void copy_clean(const float * from, float * to) {
    for (int i = 0; i < kHop; ++i) {
        const float x = from[i];
        // The comparison is false for NaN; infinities fall outside as well and become zero, not the limit.
        to[i] = std::fabs(x) <= kLimit ? x : (std::isfinite(x) ? std::copysign(kLimit, x) : 0.0f);
    }
}

} // namespace

Front::Front(const ModelConfig & config, const FrontendGain * gain, const Kernels & kernels, Profile & profile)
    : kernels_(kernels), profile_(profile), network_(config.has_network), gains_(kGains), samples_(kHop) {
    if (config.has_frontend) {
        filter_.reset(new FrontendState(config.frontend, gain));
        filter_block_ = profile.block("frontend");
        outputs_.push_back({"frontend_error", 1, kHop, [](const Front & f) { return f.error_.now(); }});
        outputs_.push_back({"frontend_echo", 1, kHop, [](const Front & f) { return f.echo_.now(); }});
    }
    if (config.has_residual) {
        residual_.reset(new ResidualEchoState(config.residual));
        outputs_.push_back({"residual_gain", 1, kGains, [](const Front & f) { return f.gains_.data(); }});
    }
    if (config.has_residual || !network_) {
        residual_block_ = profile.block("residual_echo");
    }
}

void Front::reset() {
    for (Hops * hops : {&mic_, &ref_, &error_, &echo_}) {
        hops->clear();
    }
    gains_.clear();
    samples_.clear();
    if (filter_) {
        filter_->reset();
    }
    if (residual_) {
        residual_->reset();
    }
}

void Front::step(const float * mic, const float * ref) {
    copy_clean(mic, mic_.next());
    copy_clean(ref, ref_.next());
    if (!filter_) {
        return;
    }
    Profile::Time start = profile_.on() ? Profile::now() : Profile::Time();
    float * const error = error_.next();
    float * const echo = echo_.next();
    filter_->step(kernels_, mic_.before(), mic_.now(), ref_.before(), ref_.now(), error, echo);
    if (profile_.on()) {
        start = profile_.add(filter_block_, start);
    }
    if (residual_) {
        step_gain();
    } else if (!network_) {
        std::memcpy(samples_.data(), error_.before(), kHop * sizeof(float));
    }
    if (profile_.on() && (residual_ || !network_)) {
        profile_.add(residual_block_, start);
    }
}

void Front::step_gain() {
    alignas(64) float re[kGains], im[kGains];
    residual_->step(error_.before(), error_.now(), echo_.before(), echo_.now(), gains_.data(), re, im);
    if (network_) {
        return; // whose spectrum they are for
    }
    for (int f = 0; f < kGains; ++f) {
        re[f] *= gains_[size_t(f)];
        im[f] *= gains_[size_t(f)];
    }
    residual_->samples(re, im, samples_.data());
}

} // namespace localvqe
