#include "frontend.h"

#include <algorithm>
#include <cstring>

namespace localvqe {
namespace {

using namespace frontend; // the constants of localvqe_cli/reference/frontend.py and kalman.py
using namespace kalman;

constexpr int kLongestIdle =
    limits::frontend_lags.high + limits::frontend_partitions.high; // more than any filter hears

constexpr int kSpectrum = RealFft512::kBins;
constexpr int kStride = (kSpectrum + 15) / 16 * 16;                  // 257 bins, padded
constexpr int kSearched = (kSearchHigh - kSearchLow + 15) / 16 * 16; // padded
constexpr int kSearchedBins = kSearchHigh - kSearchLow;

// The searched bins of what a Hann window would have given.
void hann(const float * spectrum, float * out) {
    for (int i = 0; i < kSearchedBins; ++i) {
        const float * x = spectrum + kSearchLow + i;
        out[i] = 0.5f * x[0] - 0.25f * (x[-1] + x[1]);
    }
}

double energy_of(const float * hop) {
    double sum = 0.0;
    for (int i = 0; i < kHop; ++i) {
        sum += double(hop[i]) * double(hop[i]);
    }
    return sum;
}

float mean_square(const float * hop) { return float(energy_of(hop) / kHop); }

} // namespace

FrontendState::FrontendState(const FrontendConfig & config, const FrontendGain * gain)
    : config_(config), spectra_(size_t(config.lags + config.partitions) * 2 * kStride),
      w_re_(size_t(config.partitions) * kStride), w_im_(w_re_.size()), variance_(w_re_.size()), noise_(kStride),
      noise_before_(kStride), weighted_(kStride), ones_(kStride), white_(size_t(config.lags) * 2 * kSearched),
      mic_power_(kSearched), ref_power_(kSearched), agreement_(white_.size()), flat_(2 * kSearched),
      moved_(w_re_.size()) {
    std::fill_n(ones_.data(), kStride, 1.0f);
    if (gain != nullptr) {
        gain_.reset(new FrontendGainState(*gain, kSpectrum, kStride));
    }
    double shape = 1.0;
    for (int p = 0; p < config.partitions; ++p, shape *= double(config.decay)) {
        initial_[p] = float(double(config.initial_variance) * shape);
        floor_[p] = float(double(config.process_floor) * shape);
    }
    reset();
}

void FrontendState::reset() {
    for (AlignedFloats * x : {&spectra_, &noise_, &white_, &mic_power_, &ref_power_, &agreement_}) {
        x->clear();
    }
    if (gain_) {
        gain_->reset();
    }
    frames_ = 0;
    offset_ = candidate_ = patience_ = 0;
    peak_ = 0.0f;
    adapted_ = false;
    idle_ = kLongestIdle;
    heard_ = 0;
    forget();
}

void FrontendState::forget() {
    w_re_.clear();
    w_im_.clear();
    for (int p = 0; p < config_.partitions; ++p) {
        std::fill_n(variance_.data() + size_t(p) * kStride, kStride, initial_[p]);
    }
}

void FrontendState::step(const Kernels & k, const float * mic_before, const float * mic, const float * ref_before,
                         const float * ref, float * error, float * echo) {
    alignas(64) float joined[kFft];
    alignas(64) float near_re[kStride], near_im[kStride];
    std::memcpy(joined, mic_before, kHop * sizeof(float));
    std::memcpy(joined + kHop, mic, kHop * sizeof(float));
    fft_.forward(joined, near_re, near_im);

    const int slots = config_.lags + config_.partitions;
    float * far = spectra_.data() + size_t(frames_ % uint64_t(slots)) * 2 * kStride;
    std::memcpy(joined, ref_before, kHop * sizeof(float));
    std::memcpy(joined + kHop, ref, kHop * sizeof(float));
    fft_.forward(joined, far, far + kStride);

    search(k, near_re, near_im, far, far + kStride, mean_square(ref));
    select_far();

    subtract(k, mic, error, echo);
    if (idle_ < offset_ + config_.partitions) {
        adapt(k, mic, error, echo);
        adapted_ = true;
    }
    ++frames_;
}

void FrontendState::adapt(const Kernels & k, const float * mic, float * error, float * echo) {
    const int n = config_.partitions;
    alignas(64) float error_re[kStride] = {}, error_im[kStride] = {};
    late_spectrum(error, error_re, error_im);
    if (gain_) {
        control(k, mic, echo, error_re, error_im);
    }
    const float * process = gain_ ? gain_->process_factor() : ones_.data();
    for (int p = 0; p < n; ++p) {
        const size_t at = size_t(p) * kStride;
        k.kalman_predict(w_re_.data() + at, w_im_.data() + at, config_.transition * config_.transition, floor_[p],
                         process, variance_.data() + at, kStride);
    }
    std::memcpy(noise_before_.data(), noise_.data(), kStride * sizeof(float));
    const float share = adapted_ ? config_.noise_smoothing : 0.0f;
    const float * factor = gain_ ? gain_->noise_factor() : ones_.data();
    double energy = 0.0;
    for (int round = 0; round < config_.iterations; ++round) {
        if (round > 0) {
            late_spectrum(error, error_re, error_im);
        }
        for (int f = 0; f < kSpectrum; ++f) {
            const float power = error_re[f] * error_re[f] + error_im[f] * error_im[f];
            const float x = share * noise_before_[size_t(f)] + (1.0f - share) * power;
            noise_[size_t(f)] = x < 1e-30f ? 0.0f : x;
            weighted_[size_t(f)] = noise_[size_t(f)] * config_.noise_weight * factor[f];
        }
        k.kalman_update(far_re_, far_im_, error_re, error_im, weighted_.data(), kNoiseFloor, kRestraint, kGainLimit, n,
                        w_re_.data(), w_im_.data(), variance_.data(), kStride);
        if (round == config_.iterations - 1) {
            constrain(int(frames_ % uint64_t(n)));
        }
        energy = subtract(k, mic, error, echo);
    }
    if (energy > kDiverged * energy_of(mic) + kInaudible) {
        forget();
        std::memcpy(error, mic, kHop * sizeof(float));
        std::memset(echo, 0, kHop * sizeof(float));
    }
}

void FrontendState::late_spectrum(const float * hop, float * re, float * im) const {
    alignas(64) float joined[kFft] = {};
    std::memcpy(joined + kHop, hop, kHop * sizeof(float));
    fft_.forward(joined, re, im);
}

void FrontendState::control(const Kernels & k, const float * mic, const float * echo, const float * error_re,
                            const float * error_im) {
    alignas(64) float echo_re[kStride] = {}, echo_im[kStride] = {};
    alignas(64) float mic_re[kStride] = {}, mic_im[kStride] = {};
    alignas(64) float far_power[kStride], unsure[kStride];
    late_spectrum(echo, echo_re, echo_im);
    late_spectrum(mic, mic_re, mic_im);
    k.kalman_levels(far_re_, far_im_, variance_.data(), config_.partitions, far_power, unsure, kStride);
    for (int f = 0; f < kSpectrum; ++f) {
        mic_re[f] = mic_re[f] * mic_re[f] + mic_im[f] * mic_im[f];
    }
    if (!adapted_) {
        for (int f = 0; f < kSpectrum; ++f) {
            noise_[size_t(f)] = error_re[f] * error_re[f] + error_im[f] * error_im[f];
        }
    }
    const GainInputs in{error_re,   error_im, echo_re,   echo_im, far_re_[0],
                        far_im_[0], mic_re,   far_power, unsure,  noise_.data()};
    gain_->step(k, in, !adapted_);
}

void FrontendState::select_far() {
    const int slots = config_.lags + config_.partitions;
    for (int p = 0; p < config_.partitions; ++p) {
        const uint64_t back = uint64_t(offset_ + p);
        const float * frame =
            spectra_.data() + size_t((frames_ + uint64_t(slots) - back) % uint64_t(slots)) * 2 * kStride;
        far_re_[p] = frame;
        far_im_[p] = frame + kStride;
    }
}

double FrontendState::subtract(const Kernels & k, const float * mic, float * error, float * echo) {
    alignas(64) float re[kStride], im[kStride];
    alignas(64) float samples[kFft];
    k.kalman_echo(far_re_, far_im_, w_re_.data(), w_im_.data(), config_.partitions, re, im, kStride);
    fft_.inverse(re, im, samples);
    double energy = 0.0;
    for (int i = 0; i < kHop; ++i) {
        echo[i] = samples[kHop + i] * (1.0f / kFft);
        error[i] = mic[i] - echo[i];
        energy += double(error[i]) * double(error[i]);
    }
    return energy;
}

void FrontendState::constrain(int partition) {
    alignas(64) float taps[kFft];
    float * re = w_re_.data() + size_t(partition) * kStride;
    float * im = w_im_.data() + size_t(partition) * kStride;
    fft_.inverse(re, im, taps);
    for (int i = 0; i < kHop; ++i) {
        taps[i] *= 1.0f / kFft;
    }
    std::memset(taps + kHop, 0, kHop * sizeof(float));
    fft_.forward(taps, re, im);
}

void FrontendState::search(const Kernels & k, const float * near_re, const float * near_im, const float * far_re,
                           const float * far_im, float power) {
    alignas(64) float re[kSearched] = {}, im[kSearched] = {};
    // Bounded at full scale, so that one wild sample does not make all that follows look silent.
    peak_ = std::max(std::min(power, 1.0f), kPeakMemory * peak_);
    const bool active = power > kActiveShare * peak_ && power > kActiveFloor;
    // Silence changes nothing that is known, but its frames take their place in the past.
    const float memory = !active ? 1.0f : heard_ > 0 ? kWhiteningMemory : 0.0f;
    const float share = 1.0f - memory;
    idle_ = active ? 0 : std::min(idle_ + 1, kLongestIdle);
    heard_ += active && heard_ < kHeardEnough ? 1 : 0;
    const uint64_t lags = uint64_t(config_.lags);
    float * white = white_.data() + size_t(frames_ % lags) * 2 * kSearched;
    hann(far_re, re);
    hann(far_im, im);
    k.whiten(re, im, memory, share, kWhiteningFloor, ref_power_.data(), white, white + kSearched, kSearched);
    hann(near_re, re);
    hann(near_im, im);
    k.whiten(re, im, memory, share, kWhiteningFloor, mic_power_.data(), flat_.data(), flat_.data() + kSearched,
             kSearched);
    if (!active) {
        return;
    }

    float score[limits::frontend_lags.high], sorted[limits::frontend_lags.high];
    static_assert(sizeof score + sizeof sorted <= kMostStack,
                  "the range of frontend.lags asks too much of a thread's stack");
    int best = 0;
    for (int lag = 0; lag < config_.lags; ++lag) {
        const float * then = white_.data() + size_t((frames_ + lags - uint64_t(lag)) % lags) * 2 * kSearched;
        float * sum = agreement_.data() + size_t(lag) * 2 * kSearched;
        score[lag] = k.agree(then, then + kSearched, flat_.data(), flat_.data() + kSearched, kSearchMemory, sum,
                             sum + kSearched, kSearched) /
                     float(kSearchedBins);
        best = score[lag] > score[best] ? lag : best;
    }
    std::copy_n(score, config_.lags, sorted);
    float * middle = sorted + (config_.lags - 1) / 2;
    std::nth_element(sorted, middle, sorted + config_.lags);
    // An echo at the very edge loses what comes of it before the edge.
    const int first = offset_ == 0 ? 0 : offset_ + kMargin;
    float in_use = 0.0f;
    for (int lag = first; lag < std::min(offset_ + kInPlace, config_.lags); ++lag) {
        in_use = std::max(in_use, score[lag]);
    }
    const bool away = best < first || best >= offset_ + kInPlace;
    const bool believed = away && score[best] > kProminence * *middle && score[best] > kDominance * in_use;
    patience_ = believed ? (best == candidate_ ? patience_ : 0) + 1 : 0;
    candidate_ = best;
    if (patience_ >= kPatience && heard_ >= kHeardEnough) {
        move(std::max(0, best - kMargin));
        patience_ = 0;
    }
}

void FrontendState::move(int offset) {
    const int by = offset - offset_;
    const int n = config_.partitions;
    for (AlignedFloats * x : {&w_re_, &w_im_, &variance_}) {
        const bool is_variance = x == &variance_;
        for (int p = 0; p < n; ++p) {
            float * to = moved_.data() + size_t(p) * kStride;
            if (p + by < 0 || p + by >= n) {
                std::fill_n(to, kStride, is_variance ? initial_[p] : 0.0f);
                continue;
            }
            std::memcpy(to, x->data() + size_t(p + by) * kStride, kStride * sizeof(float));
            if (is_variance) {
                for (int i = 0; i < kStride; ++i) {
                    to[i] = std::max(to[i], kRenewed * initial_[p]);
                }
            }
        }
        std::swap(*x, moved_);
    }
    offset_ = offset;
}

} // namespace localvqe
