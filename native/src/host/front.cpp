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

Front::Front(const ModelConfig & config, const FrontendGain * gain, const Kernels & kernels, int batch,
             Profile & profile)
    : kernels_(kernels), profile_(profile), network_(config.has_network), mic_(batch), ref_(batch), error_(batch),
      echo_(batch), samples_(batch), gains_(size_t(batch) * kGains) {
    if (config.has_frontend) {
        filter_.reset(new FrontendState(config.frontend, gain));
        filter_block_ = profile.block("frontend");
        outputs_.push_back({"frontend_error", 1, kHop, [](const Front & f) { return f.error_.at(-1); }});
        outputs_.push_back({"frontend_echo", 1, kHop, [](const Front & f) { return f.echo_.at(-1); }});
    }
    if (config.has_residual) {
        residual_.reset(new ResidualEchoState(config.residual));
        outputs_.push_back({"residual_gain", 1, kGains, [](const Front & f) { return f.gains(f.latest_); }});
    }
    if (config.has_residual || !network_) {
        residual_block_ = profile.block("residual_echo");
    }
}

void Front::reset() {
    for (Hops * hops : {&mic_, &ref_, &error_, &echo_, &samples_}) {
        hops->clear();
    }
    gains_.clear();
    latest_ = 0;
    if (filter_) {
        filter_->reset();
    }
    if (residual_) {
        residual_->reset();
    }
}

void Front::run(const float * mic, const float * ref, int hops) {
    for (int t = 0; t < hops; ++t) {
        copy_clean(mic + size_t(t) * kHop, mic_.at(t));
        copy_clean(ref + size_t(t) * kHop, ref_.at(t));
    }
    if (filter_) {
        Profile::Time start = profile_.on() ? Profile::now() : Profile::Time();
        for (int t = 0; t < hops; ++t) {
            filter_->step(kernels_, mic_.at(t - 1), mic_.at(t), ref_.at(t - 1), ref_.at(t), error_.at(t), echo_.at(t));
        }
        if (profile_.on()) {
            start = profile_.add(filter_block_, start);
        }
        if (residual_) {
            run_gain(hops);
        } else if (!network_) {
            std::memcpy(samples_.at(0), error_.at(-1), size_t(hops) * kHop * sizeof(float));
        }
        if (profile_.on() && (residual_ || !network_)) {
            profile_.add(residual_block_, start);
        }
    }
    for (Hops * kept : {&mic_, &ref_, &error_, &echo_}) {
        kept->keep(hops);
    }
    latest_ = hops - 1;
}

void Front::feed(Session & session, int stream, int hops) const {
    for (int t = 0; t < hops; ++t) {
        std::memcpy(session.input(0, t, stream), near(t), kHop * sizeof(float));
        std::memcpy(session.input(1, t, stream), far(t), kHop * sizeof(float));
        if (residual_) {
            std::memcpy(session.input(2, t, stream), gain(t), kBins * sizeof(float));
        }
    }
}

void Front::run_gain(int hops) {
    alignas(64) float re[kGains], im[kGains];
    for (int t = 0; t < hops; ++t) {
        float * gain = gains_.data() + size_t(t) * kGains;
        residual_->step(error_.at(t - 1), error_.at(t), echo_.at(t - 1), echo_.at(t), gain, re, im);
        if (network_) {
            continue; // whose spectrum they are for
        }
        for (int f = 0; f < kGains; ++f) {
            re[f] *= gain[f];
            im[f] *= gain[f];
        }
        residual_->samples(re, im, samples_.at(t));
    }
}

} // namespace localvqe
