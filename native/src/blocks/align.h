// AlignBlock (report, 2.4): attention of the microphone feature over the last d_max far-end features. The projected
// keys, the far-end features and the similarities live in rings; nothing is copied as time moves on.
#pragma once

#include "convolution.h"

namespace localvqe {

struct Loader;

struct Align {
    int hidden; // rounded up to whole vectors; the extra channels are zero
    std::unique_ptr<ConvWeights> pconv_mic;
    std::unique_ptr<ConvWeights> pconv_ref;
    AlignedFloats smooth; // [5 frames][3 lags][hidden], tau already folded in
    float smooth_bias = 0.0f;

    static Align load(const Loader & loader, const ModelConfig & config);
    // far keeps d_max - 1 past frames. Returns the aligned far-end feature.
    Frames & build(Builder & b, Frames & mic, Frames & far) const;
};

} // namespace localvqe
