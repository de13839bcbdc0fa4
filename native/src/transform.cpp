#include "transform.h"

#include "config.h"

#include <cmath>
#include <cstring>

namespace localvqe {
namespace {

constexpr double kTolerance = 2e-6; // files hold the bases in float32, and other writers may round differently

class StftTransform : public Transform {
public:
    StftTransform() {
        const double pi = std::acos(-1.0);
        for (int n = 0; n < kFft; ++n) {
            window_[size_t(n)] = float(std::sqrt(0.5 - 0.5 * std::cos(2.0 * pi * (n + 0.5) / kFft)));
            synthesis_window_[size_t(n)] = window_[size_t(n)] / kFft;
        }
    }

    void analyse(const float * previous, const float * current, float * spectrum) const override {
        float x[kFft], re[RealFft512::kBins], im[RealFft512::kBins];
        for (int n = 0; n < kHop; ++n) {
            x[n] = previous[n] * window_[size_t(n)];
            x[kHop + n] = current[n] * window_[size_t(kHop + n)];
        }
        fft_.forward(x, re, im);
        for (int f = 0; f < kBins; ++f) { // DC is dropped, Nyquist kept
            spectrum[2 * f] = re[f + 1];
            spectrum[2 * f + 1] = im[f + 1];
        }
    }

    void synthesise(const float * planar, float * samples) const override {
        float re[RealFft512::kBins], im[RealFft512::kBins];
        re[0] = im[0] = 0.0f;
        std::memcpy(re + 1, planar, kBins * sizeof(float));
        std::memcpy(im + 1, planar + kBins, kBins * sizeof(float));
        re[kBins] *= 2.0f; // the basis gives Nyquist the factor 2 / K of the other bins
        fft_.inverse(re, im, samples);
        for (int n = 0; n < kFft; ++n) {
            samples[n] *= synthesis_window_[size_t(n)];
        }
    }

private:
    RealFft512 fft_;
    std::array<float, kFft> window_;
    std::array<float, kFft> synthesis_window_;
};

class DctTransform : public Transform {
public:
    DctTransform() {
        const double pi = std::acos(-1.0);
        for (int k = 0; k < kFft; ++k) {
            const double scale = std::sqrt((k == 0 ? 1.0 : 2.0) / kFft);
            cosine_[size_t(k)] = float(scale * std::cos(pi * k / (2.0 * kFft)));
            sine_[size_t(k)] = float(scale * std::sin(pi * k / (2.0 * kFft)));
        }
    }

    void analyse(const float * previous, const float * current, float * spectrum) const override {
        // Even samples forwards, odd ones backwards: the cosine transform is then a turned Fourier transform.
        float v[kFft], re[RealFft512::kBins], im[RealFft512::kBins];
        for (int n = 0; n < kHop / 2; ++n) {
            v[n] = previous[2 * n];
            v[kHop / 2 + n] = current[2 * n];
            v[kFft - 1 - n] = previous[2 * n + 1];
            v[kFft - 1 - kHop / 2 - n] = current[2 * n + 1];
        }
        fft_.forward(v, re, im);
        for (int k = 0; k <= kFft / 2; ++k) {
            spectrum[k] = re[k] * cosine_[size_t(k)] + im[k] * sine_[size_t(k)];
        }
        for (int k = kFft / 2 + 1; k < kFft; ++k) { // the upper half is the conjugate of the lower
            spectrum[k] = re[kFft - k] * cosine_[size_t(k)] - im[kFft - k] * sine_[size_t(k)];
        }
    }

    void synthesise(const float * planar, float * samples) const override {
        float re[RealFft512::kBins], im[RealFft512::kBins], v[kFft];
        const auto value = [&](int k) { return k == kFft ? 0.0f : planar[size_t(k % 2) * kBins + size_t(k / 2)]; };
        // Undo the turn; the pair X[k], X[N - k] holds both parts of bin k.
        re[0] = value(0) * cosine_[0];
        im[0] = 0.0f;
        for (int k = 1; k <= kFft / 2; ++k) {
            const float a = value(k), b = value(kFft - k), c = 0.5f * cosine_[size_t(k)], d = 0.5f * sine_[size_t(k)];
            re[k] = a * c + b * d;
            im[k] = a * d - b * c;
        }
        fft_.inverse(re, im, v);
        for (int n = 0; n < kFft / 2; ++n) {
            samples[2 * n] = v[n];
            samples[2 * n + 1] = v[kFft - 1 - n];
        }
    }

private:
    RealFft512 fft_;
    std::array<float, kFft> cosine_;
    std::array<float, kFft> sine_;
};

// Feeds unit vectors through the transform and compares with the dense bases, column by column.
bool equals(const Transform & transform, const std::vector<float> & encoder, const std::vector<float> & decoder) {
    std::vector<float> unit(kFft), out(kFft);
    for (size_t column = 0; column < kFft; ++column) {
        unit.assign(kFft, 0.0f);
        unit[column] = 1.0f;
        transform.analyse(unit.data(), unit.data() + kHop, out.data());
        for (size_t row = 0; row < kFft; ++row) {
            if (!(std::fabs(double(out[row]) - double(encoder[row * kFft + column])) <= kTolerance)) {
                return false;
            }
        }
        transform.synthesise(unit.data(), out.data());
        const size_t channel = 2 * (column % kBins) + column / kBins; // planar position -> interleaved channel
        for (size_t row = 0; row < kFft; ++row) {
            if (!(std::fabs(double(out[row]) - double(decoder[row * kFft + channel])) <= kTolerance)) {
                return false;
            }
        }
    }
    return true;
}

} // namespace

std::unique_ptr<Transform> standard_transform(int version) {
    return version == 1 ? std::unique_ptr<Transform>(new DctTransform) : std::unique_ptr<Transform>(new StftTransform);
}

std::unique_ptr<Transform> find_transform(const std::vector<float> & encoder, const std::vector<float> & decoder) {
    std::unique_ptr<Transform> stft(new StftTransform);
    if (equals(*stft, encoder, decoder)) {
        return stft;
    }
    std::unique_ptr<Transform> dct(new DctTransform);
    if (equals(*dct, encoder, decoder)) {
        return dct;
    }
    return nullptr;
}

} // namespace localvqe
