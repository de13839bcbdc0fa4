// The standard bases as fast transforms. A file holds its bases as dense 512 x 512 tensors; where these are the
// STFT-256 with its sqrt-Hann window (report, 2.1) or the orthonormal DCT-II of version 1, to float accuracy, a Fourier
// transform computes the same in a thirtieth of the operations.
#pragma once

#include "fft.h"

#include <memory>
#include <vector>

namespace localvqe {

class Transform {
public:
    virtual ~Transform() = default;
    // Two hops of samples -> 512 values as encoder.conv computes them.
    virtual void analyse(const float * previous, const float * current, float * spectrum) const = 0;
    // Planar spectrum, the even values first -> 512 samples as decoder.linear computes them.
    virtual void synthesise(const float * planar, float * samples) const = 0;
};

// encoder (512, 512): rows are filters; decoder (512, 512): rows are output samples. Null when they are no standard pair.
std::unique_ptr<Transform> find_transform(const std::vector<float> & encoder, const std::vector<float> & decoder);

// The same for a file that leaves its bases out: the DCT-II of version 1, or the STFT of the others.
std::unique_ptr<Transform> standard_transform(int version);

} // namespace localvqe
