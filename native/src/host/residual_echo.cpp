#include "residual_echo.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace localvqe {
namespace {

// The same constants as in reference/residual_echo.py.
constexpr int kPowerFrames = 5;
constexpr float kPowerFloor = 1e-12f;
constexpr float kNoiseMemory = 0.9f;
constexpr int kBlocks = 16;
constexpr int kBlockFrames = 50;

constexpr int kGains = ResidualEchoState::kGains;

} // namespace

ResidualEchoState::ResidualEchoState(const ResidualConfig & config)
    : config_(config), error_(kPowerFrames * kGains), echo_(kPowerFrames * kGains), smooth_(kGains), minima_(kBlocks * kGains),
      tail_(kHop) {
    for (int i = 0; i < kFft; ++i) {
        window_[i] = float(std::sin(3.14159265358979323846 * (i + 0.5) / kFft));
    }
    reset();
}

void ResidualEchoState::reset() {
    for (AlignedFloats * x : {&error_, &echo_, &smooth_, &tail_}) {
        x->clear();
    }
    std::fill_n(minima_.data(), minima_.size(), std::numeric_limits<float>::infinity());
    frames_ = 0;
}

void ResidualEchoState::step(const float * error_before, const float * error, const float * echo_before, const float * echo,
                             float * gain, float * spectrum_re, float * spectrum_im) {
    float echo_re[kGains], echo_im[kGains];
    float mean_error[kGains], mean_echo[kGains], floor[kGains];
    analyse(error_before, error, spectrum_re, spectrum_im);
    analyse(echo_before, echo, echo_re, echo_im);
    average(error_, spectrum_re, spectrum_im, mean_error);
    average(echo_, echo_re, echo_im, mean_echo);
    background(spectrum_re, spectrum_im, floor);
    for (int f = 0; f < kGains; ++f) {
        const float power = spectrum_re[f] * spectrum_re[f] + spectrum_im[f] * spectrum_im[f];
        const float ratio = config_.overestimate * (mean_echo[f] / (mean_error[f] + kPowerFloor));
        const float by_echo = 1.0f / (1.0f + ratio * ratio);
        const float by_background = std::min(1.0f, std::sqrt(config_.noise_fill * floor[f] / (power + kPowerFloor)));
        gain[f] = std::max(by_echo, by_background);
    }
    ++frames_;
}

void ResidualEchoState::analyse(const float * before, const float * now, float * re, float * im) const {
    alignas(64) float frame[kFft];
    for (int i = 0; i < kHop; ++i) {
        frame[i] = before[i] * window_[i];
        frame[kHop + i] = now[i] * window_[kHop + i];
    }
    fft_.forward(frame, re, im);
}

void ResidualEchoState::average(AlignedFloats & rows, const float * re, const float * im, float * mean) const {
    float * newest = rows.data() + size_t(frames_ % kPowerFrames) * kGains;
    for (int f = 0; f < kGains; ++f) {
        newest[f] = re[f] * re[f] + im[f] * im[f];
    }
    std::copy_n(rows.data(), kGains, mean);
    for (int row = 1; row < kPowerFrames; ++row) {
        const float * power = rows.data() + size_t(row) * kGains;
        for (int f = 0; f < kGains; ++f) {
            mean[f] += power[f];
        }
    }
    for (int f = 0; f < kGains; ++f) {
        mean[f] *= 1.0f / kPowerFrames;
    }
}

void ResidualEchoState::background(const float * re, const float * im, float * out) {
    const float memory = frames_ == 0 ? 0.0f : kNoiseMemory;
    float * block = minima_.data() + size_t(frames_ / kBlockFrames % kBlocks) * kGains;
    if (frames_ % kBlockFrames == 0) {
        std::fill_n(block, kGains, std::numeric_limits<float>::infinity());
    }
    for (int f = 0; f < kGains; ++f) {
        const float power = re[f] * re[f] + im[f] * im[f];
        const float smooth = memory * smooth_[size_t(f)] + (1.0f - memory) * power;
        smooth_[size_t(f)] = smooth < 1e-30f ? 0.0f : smooth; // decays in silence must not linger among the denormals
        block[f] = std::min(block[f], smooth_[size_t(f)]);
    }
    std::copy_n(minima_.data(), kGains, out);
    for (int row = 1; row < kBlocks; ++row) {
        const float * minimum = minima_.data() + size_t(row) * kGains;
        for (int f = 0; f < kGains; ++f) {
            out[f] = std::min(out[f], minimum[f]);
        }
    }
}

void ResidualEchoState::samples(const float * re, const float * im, float * out) {
    alignas(64) float frame[kFft];
    fft_.inverse(re, im, frame);
    for (int i = 0; i < kHop; ++i) {
        out[i] = tail_[size_t(i)] + frame[i] * window_[i] * (1.0f / kFft);
        tail_[size_t(i)] = frame[kHop + i] * window_[kHop + i] * (1.0f / kFft);
    }
}

} // namespace localvqe
