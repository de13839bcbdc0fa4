#include "fft.h"

#include <cmath>

namespace localvqe {

RealFft512::RealFft512() {
    for (int k = 0; k < kHalf; ++k) {
        const double angle = 2.0 * std::acos(-1.0) * k / kSize;
        cosine_[size_t(k)] = float(std::cos(angle));
        sine_[size_t(k)] = float(std::sin(angle));
    }
}

// Radix-4 Stockham: four passes of 64 butterflies between two buffers, in natural order at the end.
void RealFft512::complex256(float * re, float * im) const {
    float other_re[kHalf], other_im[kHalf];
    float * from_re = re;
    float * from_im = im;
    float * to_re = other_re;
    float * to_im = other_im;
    for (int n = kHalf, s = 1; n > 1; n /= 4, s *= 4) {
        const int m = n / 4;
        const int turn = kSize / n; // table step of the angle 2 pi / n
        for (int p = 0; p < m; ++p) {
            // Twiddles exp(-2 pi i p j / n), j = 1, 2, 3; the last angle stays below 3/4 turn, the table ends at 1/2.
            const auto twiddle = [&](int j, float & c, float & d) {
                const int at = p * j * turn;
                const float sign = at < kHalf ? 1.0f : -1.0f;
                c = sign * cosine_[size_t(at % kHalf)];
                d = -sign * sine_[size_t(at % kHalf)];
            };
            float c1, d1, c2, d2, c3, d3;
            twiddle(1, c1, d1);
            twiddle(2, c2, d2);
            twiddle(3, c3, d3);
            const float * ar = from_re + s * p;
            const float * ai = from_im + s * p;
            float * yr = to_re + s * 4 * p;
            float * yi = to_im + s * 4 * p;
            const int step = s * m;
            for (int q = 0; q < s; ++q) {
                const float sum02r = ar[q] + ar[q + 2 * step], sum02i = ai[q] + ai[q + 2 * step];
                const float dif02r = ar[q] - ar[q + 2 * step], dif02i = ai[q] - ai[q + 2 * step];
                const float sum13r = ar[q + step] + ar[q + 3 * step], sum13i = ai[q + step] + ai[q + 3 * step];
                const float dif13r = ar[q + step] - ar[q + 3 * step], dif13i = ai[q + step] - ai[q + 3 * step];
                yr[q] = sum02r + sum13r;
                yi[q] = sum02i + sum13i;
                const float r1 = dif02r + dif13i, i1 = dif02i - dif13r;
                yr[q + s] = r1 * c1 - i1 * d1;
                yi[q + s] = r1 * d1 + i1 * c1;
                const float r2 = sum02r - sum13r, i2 = sum02i - sum13i;
                yr[q + 2 * s] = r2 * c2 - i2 * d2;
                yi[q + 2 * s] = r2 * d2 + i2 * c2;
                const float r3 = dif02r - dif13i, i3 = dif02i + dif13r;
                yr[q + 3 * s] = r3 * c3 - i3 * d3;
                yi[q + 3 * s] = r3 * d3 + i3 * c3;
            }
        }
        float * const swap_re = from_re;
        float * const swap_im = from_im;
        from_re = to_re;
        from_im = to_im;
        to_re = swap_re;
        to_im = swap_im;
    }
    // Four passes: the result is back where it began.
}

void RealFft512::forward(const float * x, float * re, float * im) const {
    // Even samples as real part, odd ones as imaginary part.
    float zr[kHalf], zi[kHalf];
    for (int n = 0; n < kHalf; ++n) {
        zr[n] = x[2 * n];
        zi[n] = x[2 * n + 1];
    }
    complex256(zr, zi);
    re[0] = zr[0] + zi[0];
    im[0] = 0.0f;
    re[kHalf] = zr[0] - zi[0];
    im[kHalf] = 0.0f;
    for (int k = 1; k < kHalf; ++k) {
        const float er = 0.5f * (zr[k] + zr[kHalf - k]),
                    ei = 0.5f * (zi[k] - zi[kHalf - k]); // spectrum of the even samples
        const float or_ = 0.5f * (zi[k] + zi[kHalf - k]), oi = 0.5f * (zr[kHalf - k] - zr[k]); // of the odd ones
        const float c = cosine_[size_t(k)], d = -sine_[size_t(k)];
        re[k] = er + or_ * c - oi * d;
        im[k] = ei + or_ * d + oi * c;
    }
}

void RealFft512::inverse(const float * re, const float * im, float * x) const {
    // The steps of forward() backwards, with twice the spectra of the even and odd samples.
    float zr[kHalf], zi[kHalf];
    zr[0] = re[0] + re[kHalf];
    zi[0] = re[0] - re[kHalf];
    for (int k = 1; k < kHalf; ++k) {
        const float er = re[k] + re[kHalf - k], ei = im[k] - im[kHalf - k];
        const float dr = re[k] - re[kHalf - k], di = im[k] + im[kHalf - k];
        const float c = cosine_[size_t(k)], d = sine_[size_t(k)];
        const float or_ = dr * c - di * d, oi = dr * d + di * c;
        zr[k] = er - oi;
        zi[k] = ei + or_;
    }
    // Swapping the parts on the way in and out turns the forward transform into the inverse one.
    complex256(zi, zr);
    for (int n = 0; n < kHalf; ++n) {
        x[2 * n] = zr[n];
        x[2 * n + 1] = zi[n];
    }
}

} // namespace localvqe
