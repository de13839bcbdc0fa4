// Encoder block: y = act(conv(pad(norm(x)))), then the residual act(conv(pad(norm(y)))) + y (report, 2.3).
#pragma once

#include "convolution.h"
#include "norm.h"

namespace localvqe {

Activation block_activation(const ModelConfig & config);

// The residual half, shared with the decoder.
struct ResBlock {
    NormWeights norm; // empty in version 1
    std::unique_ptr<ConvWeights> conv;

    static ResBlock load(const Loader & loader, const ModelConfig & config, const std::string & name, int channels);
    // Appends the residual of y into `out` (same shape as y).
    void build(Builder & b, const std::string & block, Frames & y, Frames & out) const;
};

struct ConvBlock {
    std::string name;
    int in_channels;
    int out_channels;
    NormWeights norm;
    std::unique_ptr<ConvWeights> conv;
    ResBlock resblock;

    static ConvBlock load(const Loader & loader, const ModelConfig & config, const std::string & name, int in_channels, int out_channels);
    // `joined` (may be null) is a second input whose channels follow those of `in`. The result has half the bins.
    // history > 0 asks for an output that keeps that many past frames.
    Frames & build(Builder & b, Frames & in, Frames * joined, int history = 0) const;
};

} // namespace localvqe
