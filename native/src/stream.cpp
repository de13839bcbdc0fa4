#include "stream.h"

#include "blocks/features.h"
#include "blocks/mask.h"
#include "error.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace localvqe {
namespace {

constexpr float kLimit = 1e6f;

void copy_clean(const float * from, float * to) {
    for (int i = 0; i < kHop; ++i) {
        const float x = from[i];
        // The comparison is false for NaN; infinities fall outside as well and become zero, not the limit.
        to[i] = std::fabs(x) <= kLimit ? x : (std::isfinite(x) ? std::copysign(kLimit, x) : 0.0f);
    }
}

bool all_finite(const float * x) {
    float sum = 0.0f; // NaN once a product with zero is NaN, which it is for NaN and infinities only
    for (int i = 0; i < kHop; ++i) {
        sum += x[i] * 0.0f;
    }
    return sum == 0.0f;
}

} // namespace

Stream::Stream(std::shared_ptr<const Model> model, int threads, int batch)
    : model_(std::move(model)), batch_(batch), graph_(threads), s4d_state_(model_->config().has_network ? model_->bottleneck.state_size() : 0), overlap_tail_(kHop) {
    build();
}

void Stream::build() {
    const ModelConfig & config = model_->config();
    Builder b{config, model_->kernels(), graph_, storage_, integers_, taps_, clock_, batch_};

    mic_samples_ = &b.make(1, kHop, 1, 0, 0);
    ref_samples_ = &b.make(1, kHop, 1, 0, 0);
    FrontendOutput heard{mic_samples_, ref_samples_};
    if (config.has_frontend) {
        frontend_.reset(new FrontendState(config.frontend, model_->frontend_gain.get()));
        heard = build_frontend(b, *frontend_, *mic_samples_, *ref_samples_);
    }
    if (config.has_residual) {
        residual_echo_.reset(new ResidualEchoState(config.residual));
    }
    if (config.has_network) {
        output_ = &build_network(b, heard);
    } else if (residual_echo_) {
        output_ = &build_residual_echo_alone(b, *residual_echo_, *heard.error, *heard.echo);
    } else {
        output_ = &build_one_hop_late(b, *heard.error);
    }
    if (batch_ == 1) {
        graph_.read_ahead();
    }
}

Frames & Stream::build_network(Builder & b, const FrontendOutput & heard) {
    const ModelConfig & config = model_->config();
    Frames & mic_spectrum = model_->filterbank.build_analysis(b, "mic_spectrum", *heard.error);
    if (residual_echo_) {
        build_residual_echo(b, *residual_echo_, *heard.error, *heard.echo, mic_spectrum);
    }
    Frames & ref_spectrum = model_->filterbank.build_analysis(b, "ref_spectrum", *heard.echo);
    const SpectrumHistory history = build_history(b, mic_spectrum);

    Frames * mic[kMicStages + 1];
    mic[0] = &build_features(b, mic_spectrum);
    mic[1] = &model_->mic_enc[0].build(b, *mic[0], nullptr);
    mic[2] = &model_->mic_enc[1].build(b, *mic[1], nullptr);
    Frames * far = &build_features(b, ref_spectrum);
    far = &model_->far_enc[0].build(b, *far, nullptr);
    far = &model_->far_enc[1].build(b, *far, nullptr, config.dmax - 1);
    Frames & aligned = model_->align.build(b, *mic[2], *far);
    mic[3] = &model_->mic_enc[2].build(b, *mic[2], &aligned);
    mic[4] = &model_->mic_enc[3].build(b, *mic[3], nullptr);
    mic[5] = &model_->mic_enc[4].build(b, *mic[4], nullptr);

    Frames * y = &model_->bottleneck.build(b, *mic[5], s4d_state_);
    for (int stage = kMicStages; stage >= 1; --stage) {
        y = &model_->decoder[size_t(kMicStages - stage)].build(b, *y, *mic[stage]);
    }
    Frames & enhanced = build_mask(b, *y, history);
    return model_->filterbank.build_synthesis(b, enhanced, overlap_tail_);
}

void Stream::process(const float * mic, const float * ref, float * out, size_t hops) {
    while (hops > 0) {
        const int n = int(std::min<size_t>(hops, size_t(batch_)));
        for (int t = 0; t < n; ++t) {
            copy_clean(mic + size_t(t) * kHop, mic_samples_->row(t));
            copy_clean(ref + size_t(t) * kHop, ref_samples_->row(t));
        }
        graph_.compute(n);
        for (int t = 0; t < n; ++t) {
            if (!all_finite(output_->row(t))) {
                std::fill(out + size_t(t) * kHop, out + hops * kHop, 0.0f);
                reset();
                throw Error("the output is not finite: the model's weights make it run away; silence was returned and "
                            "the stream reset");
            }
            std::memcpy(out + size_t(t) * kHop, output_->row(t), kHop * sizeof(float));
        }
        last_frames_ = n;
        clock_ += uint64_t(n);
        mic += size_t(n) * kHop;
        ref += size_t(n) * kHop;
        out += size_t(n) * kHop;
        hops -= size_t(n);
    }
}

void Stream::reset() {
    for (Frames & frames : storage_) {
        frames.clear();
    }
    if (frontend_) {
        frontend_->reset();
    }
    if (residual_echo_) {
        residual_echo_->reset();
    }
    for (IntFrames & frames : integers_) {
        frames.clear();
    }
    s4d_state_.clear();
    overlap_tail_.clear();
    clock_ = 0;
    last_frames_ = 1;
}

void Stream::read_tap(const Tap & tap, float * out) const {
    // Seen from the next call, a ring's latest frame is -1; storage without history is indexed by frame of its call.
    const float * row = tap.frames->row(tap.frames->history() == 0 ? last_frames_ - 1 : -1);
    for (int i = 0; i < tap.dim0; ++i) {
        for (int j = 0; j < tap.dim1; ++j) {
            *out++ = row[size_t(i) * tap.stride0 + size_t(j) * tap.stride1];
        }
    }
}

} // namespace localvqe
