// A speech codec: encoder, quantizer and decoder over one file's weights, a clip at a time.
#pragma once

#include "../cpu/thread_team.h"
#include "codec_config.h"
#include "line_conv.h"
#include "signal.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace localvqe {

class GgufFile;

namespace lfsc {

class WeightReader;

class Codec {
public:
    // Validates the whole file; throws Error with the path in the text.
    static std::unique_ptr<Codec> load(const std::string & path, int threads);

    const CodecConfig & config() const { return config_; }

    // frames * samples_per_frame samples to tokens (groups, frames). Both throw Error where there are too few frames, or
    // where numbers grow beyond bounds.
    void encode(const float * sound, int frames, int32_t * tokens);
    // The inverse.
    void decode(const int32_t * tokens, int frames, float * sound);

private:
    struct Block {
        LineConv input, skip;
        int dilation;
    };
    // Per kernel, its chain of blocks.
    using ResidualLayer = std::vector<std::vector<Block>>;
    struct EncoderStage {
        ResidualLayer residual;
        LineConv down;
        int rate;
    };
    struct DecoderStage {
        std::vector<LineConv> up; // one for each output of a step
        ResidualLayer residual;
        int rate;
    };

    // Within a residual layer: after a block's first convolution, and after a block.
    struct Buffers {
        Signal inner, chain;
    };

    Codec(const GgufFile & file, const Kernels & kernels, int threads);
    ResidualLayer read_layer(WeightReader & reader, const std::string & name, int channels,
                             const std::vector<int> & kernels, const std::vector<int> & dilations) const;
    void require_frames(int frames) const;

    // out = the convolution of x.
    void convolve(const LineConv & conv, const Reach & reach, const Signal & x, Signal & out);
    // out = x lengthened.
    void lengthen(const DecoderStage & stage, const Signal & x, Signal & out);
    // out = the residual layer of x.
    void residual_layer(const ResidualLayer & layer, const std::vector<int> & kernels, const Signal & x, Signal & out,
                        Buffers & buffers);

    ThreadTeam team_;
    std::vector<Workspace> workspaces_; // of each part of the team's work
    const Kernels & kernels_;
    std::unique_ptr<LineConv> encoder_pre_, encoder_post_, decoder_pre_, decoder_post_;
    std::vector<EncoderStage> encoder_;
    std::vector<DecoderStage> decoder_;
    const CodecConfig config_;
};

} // namespace lfsc
} // namespace localvqe
