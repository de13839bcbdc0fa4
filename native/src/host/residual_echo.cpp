#include "residual_echo.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace localvqe {
namespace {

using namespace residual_echo; // the constants of localvqe_cli/reference/residual_echo.py

} // namespace

ResidualEchoState::ResidualEchoState(const ResidualConfig & config)
    : config_(config), error_(kFrames * kGains), echo_(kFrames * kGains), smooth_(kGains), minima_(kBlocks * kGains),
      leaks_(kLeakBlocks * kGains), tail_(kHop) {
    for (int i = 0; i < kFft; ++i) {
        window_[i] = float(std::sin(3.14159265358979323846 * (i + 0.5) / kFft));
    }
    if (config.noise_reduction > 0.0f) {
        noise_reduction_.reset(new NoiseReduction(config.noise_reduction));
    }
    reset();
}

void ResidualEchoState::reset() {
    for (AlignedFloats * x : {&error_, &echo_, &smooth_, &tail_}) {
        x->clear();
    }
    std::fill_n(minima_.data(), minima_.size(), std::numeric_limits<float>::infinity());
    std::fill_n(leaks_.data(), leaks_.size(), 1.0f);
    if (noise_reduction_) {
        noise_reduction_->reset();
    }
    frames_ = 0;
}

void ResidualEchoState::step(const float * error_before, const float * error, const float * echo_before,
                             const float * echo, float * gain, float * spectrum_re, float * spectrum_im) {
    float echo_re[kGains], echo_im[kGains];
    float power[kGains], echo_power[kGains], mean_error[kGains], mean_echo[kGains], floor[kGains], ratio[kGains],
        leak[kGains];
    analyse(error_before, error, spectrum_re, spectrum_im);
    analyse(echo_before, echo, echo_re, echo_im);
    for (int f = 0; f < kGains; ++f) {
        power[f] = spectrum_re[f] * spectrum_re[f] + spectrum_im[f] * spectrum_im[f];
        echo_power[f] = echo_re[f] * echo_re[f] + echo_im[f] * echo_im[f];
    }
    average(error_, power, mean_error);
    average(echo_, echo_power, mean_echo);
    background(power, floor);
    for (int f = 0; f < kGains; ++f) {
        ratio[f] = (mean_error[f] + kPowerFloor) / (mean_echo[f] + kPowerFloor);
        leak[f] = mean_echo[f] > floor[f] ? std::min(1.0f, ratio[f]) : 1.0f;
    }
    leaks(leak, least_leak(mean_error, floor), leak);
    for (int f = 0; f < kGains; ++f) {
        const float left = config_.overestimate * leak[f] / ratio[f];
        const float by_echo = 1.0f / (1.0f + left * left);
        const float by_background = std::min(1.0f, std::sqrt(config_.noise_fill * floor[f] / (power[f] + kPowerFloor)));
        gain[f] = std::max(by_echo, by_background);
    }
    if (noise_reduction_) {
        noise_reduction_->step(power, floor, gain);
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

void ResidualEchoState::average(AlignedFloats & rows, const float * power, float * mean) const {
    std::copy_n(power, kGains, rows.data() + size_t(frames_ % kFrames) * kGains);
    std::copy_n(rows.data(), kGains, mean);
    for (int row = 1; row < kFrames; ++row) {
        const float * earlier = rows.data() + size_t(row) * kGains;
        for (int f = 0; f < kGains; ++f) {
            mean[f] += earlier[f];
        }
    }
    for (int f = 0; f < kGains; ++f) {
        mean[f] *= 1.0f / kFrames;
    }
}

void ResidualEchoState::background(const float * power, float * out) {
    const float memory = frames_ == 0 ? 0.0f : kNoiseMemory;
    float * block = begin_block(minima_, kBlocks, kBlockFrames, std::numeric_limits<float>::infinity());
    for (int f = 0; f < kGains; ++f) {
        const float smooth = memory * smooth_[size_t(f)] + (1.0f - memory) * power[f];
        smooth_[size_t(f)] = smooth < 1e-30f ? 0.0f : smooth; // decays in silence must not linger among the denormals
        block[f] = std::min(block[f], smooth_[size_t(f)]);
    }
    least_of_blocks(minima_, kBlocks, out);
}

float * ResidualEchoState::begin_block(AlignedFloats & rows, int blocks, int block_frames, float empty) const {
    float * block = rows.data() + size_t(frames_ / uint64_t(block_frames) % uint64_t(blocks)) * kGains;
    if (frames_ % uint64_t(block_frames) == 0) {
        std::fill_n(block, kGains, empty);
    }
    return block;
}

void ResidualEchoState::least_of_blocks(const AlignedFloats & rows, int blocks, float * out) {
    std::copy_n(rows.data(), kGains, out);
    for (int row = 1; row < blocks; ++row) {
        const float * minimum = rows.data() + size_t(row) * kGains;
        for (int f = 0; f < kGains; ++f) {
            out[f] = std::min(out[f], minimum[f]);
        }
    }
}

float ResidualEchoState::least_leak(const float * error, const float * background) const {
    double whole = 0.0, quiet = 0.0;
    for (int f = 0; f < kGains; ++f) {
        whole += error[f];
        quiet += background[f];
    }
    const double stands_out = (whole / kGains + kPowerFloor) / (quiet / kGains + kPowerFloor);
    return std::min(config_.leak_most, std::max(config_.leak_least, float(config_.leak_background / stands_out)));
}

void ResidualEchoState::leaks(const float * now, float least, float * out) {
    float * block = begin_block(leaks_, kLeakBlocks, kLeakBlockFrames, 1.0f);
    float logs[kGains];
    for (int f = 0; f < kGains; ++f) {
        block[f] = std::min(block[f], now[f]);
    }
    least_of_blocks(leaks_, kLeakBlocks, logs);
    for (int f = 0; f < kGains; ++f) {
        logs[f] = std::log(logs[f]);
    }
    constexpr int kBeside = kLeakBins / 2;
    for (int f = 0; f < kGains; ++f) {
        const int first = std::max(0, f - kBeside), last = std::min(kGains - 1, f + kBeside);
        float sum = 0.0f;
        for (int i = first; i <= last; ++i) {
            sum += logs[i];
        }
        out[f] = std::max(least, std::exp(sum / float(last - first + 1)));
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
