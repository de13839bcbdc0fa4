// Real Fourier transform of 512 samples, split format, through one complex transform of 256 points.
#pragma once

#include "contract/constants.h"

#include <array>

namespace localvqe {

class RealFft512 {
public:
    static constexpr int kSize = 512;
    static constexpr int kBins = kSize / 2 + 1;
    static_assert(kSize == kFft, "the transform of a frame");

    RealFft512();

    // re[k] + i im[k] = sum_n x[n] exp(-2 pi i k n / 512) for k = 0..256.
    void forward(const float * x, float * re, float * im) const;

    // x[n] = re[0] + (-1)^n re[256] + 2 sum_{k=1..255} Re((re[k] + i im[k]) exp(+2 pi i k n / 512)): 512 times the
    // inverse. The imaginary parts of bins 0 and 256 do not count.
    void inverse(const float * re, const float * im, float * x) const;

private:
    static constexpr int kHalf = kSize / 2;
    // Transforms re + i im in place (forward sign).
    void complex256(float * re, float * im) const;

    std::array<float, kHalf> cosine_; // of 2 pi k / 512
    std::array<float, kHalf> sine_;
};

} // namespace localvqe
