// Decoder block: skip connection, residual, then a sub-pixel convolution that doubles the bins (report, 2.3).
#pragma once

#include "conv_block.h"

namespace localvqe {

struct DecoderBlock {
    std::string name;
    int in_channels;
    int out_channels;
    bool last; // dec1: no activation, planar output for the mask
    NormWeights skip_norm;
    std::unique_ptr<ConvWeights> skip_conv;
    ResBlock resblock;
    NormWeights deconv_norm;
    std::unique_ptr<ConvWeights> deconv;

    static DecoderBlock load(const Loader & loader, const ModelConfig & config, const std::string & name, int in_channels, int out_channels);
    Frames & build(Builder & b, Frames & in, Frames & skip) const;
};

} // namespace localvqe
