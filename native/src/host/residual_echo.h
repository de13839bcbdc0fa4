// A gain per bin behind the adaptive filter, from its error and its estimate of the echo; twin of
// localvqe_cli/reference/residual_echo.py, where the method is described. Only models with localvqe.residual.* keys have
// one.
#pragma once

#include "../aligned.h"
#include "../config.h"
#include "../fft.h"
#include "noise_reduction.h"

#include <memory>

namespace localvqe {

// Everything between two hops of one stream.
class ResidualEchoState {
public:
    explicit ResidualEchoState(const ResidualConfig & config);
    void reset();

    static constexpr int kGains = RealFft512::kBins;

    // Gain (kGains) of the frame that a hop of error and echo ends; each with the hop before it. spectrum_re,
    // spectrum_im: (kGains), filled with the error's.
    void step(const float * error_before, const float * error, const float * echo_before, const float * echo,
              float * gain, float * spectrum_re, float * spectrum_im);
    // The samples that a frame completes, (256), from its spectrum with the gain applied.
    void samples(const float * re, const float * im, float * out);

private:
    void analyse(const float * before, const float * now, float * re, float * im) const;
    // Replaces the oldest of five rows of power by this frame's and takes the mean of all.
    void average(AlignedFloats & rows, const float * power, float * mean) const;
    // The smallest smoothed power lately.
    void background(const float * power, float * out);
    // The smallest share of the echo that was left lately, averaged over bins around; `now` is this frame's.
    void leaks(const float * now, float least, float * out);
    float least_leak(const float * error, const float * background) const;
    // The row of a ring of minima that this frame belongs to.
    float * begin_block(AlignedFloats & rows, int blocks, int block_frames, float empty) const;
    static void least_of_blocks(const AlignedFloats & rows, int blocks, float * out);

    ResidualConfig config_;
    RealFft512 fft_;
    float window_[kFft];
    uint64_t frames_ = 0;
    AlignedFloats error_, echo_; // powers of the latest frames, a ring
    AlignedFloats smooth_;
    AlignedFloats minima_;                            // of blocks of frames, a ring
    AlignedFloats leaks_;                             // the same of the leak
    std::unique_ptr<NoiseReduction> noise_reduction_; // null where noise stays
    AlignedFloats tail_;                              // second half of the last frame's samples
};

} // namespace localvqe
