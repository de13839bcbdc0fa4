// What goes on all the time, taken down by a fixed number of decibels; twin of
// localvqe_cli/reference/noise_reduction.py, where the method is described.
#pragma once

#include "../aligned.h"
#include "../fft.h"

namespace localvqe {

// One stream.
class NoiseReduction {
public:
    explicit NoiseReduction(float decibels);
    void reset();

    // Multiplies the echo's gain (257) by that of speech. power: of the bins before either; background: the smallest
    // lately; both (257).
    void step(const float * power, const float * background, float * gain);

private:
    float least_;
    AlignedFloats speech_; // what was kept in the last frame, over the noise
};

} // namespace localvqe
