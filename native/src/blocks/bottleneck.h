// S4D bottleneck (report, 2.5): v = W_in u + b_in;  h <- a h + B v;  y = Re(C h);  o = W_out y + b_out + D u.
// The deepest feature is channel-last here, so the projections' columns are permuted when they are loaded.
#pragma once

#include "convolution.h"

namespace localvqe {

struct Loader;

struct Bottleneck {
    int hidden; // rounded up to whole vectors
    std::unique_ptr<ConvWeights> input_proj;
    std::unique_ptr<ConvWeights> output_proj;
    AlignedFloats coefficients; // a_re, a_im, B_re, B_im, C_re, C_im, each [hidden]
    AlignedFloats skip;         // D, channel-last

    static Bottleneck load(const Loader & loader, const ModelConfig & config);
    size_t state_size() const { return size_t(hidden) * 2; }
    // state: h_re, h_im, kept between calls.
    Frames & build(Builder & b, Frames & in, AlignedFloats & state) const;
};

} // namespace localvqe
