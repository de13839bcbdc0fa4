// A loaded model: checked configuration and packed weights, read-only after construction and shared by any number of
// streams.
#pragma once

#include "blocks/align.h"
#include "blocks/bottleneck.h"
#include "blocks/conv_block.h"
#include "blocks/decoder_block.h"
#include "blocks/filterbank.h"
#include "blocks/frontend_gain.h"
#include "config.h"
#include "kernels/kernels.h"

#include <memory>
#include <string>
#include <vector>

namespace localvqe {

class Model {
public:
    // Validates the whole file before anything is built from it; throws Error with the path in the text.
    static std::shared_ptr<const Model> load(const std::string & path);

    const ModelConfig & config() const { return config_; }
    const Kernels & kernels() const { return kernels_; }
    const std::string & name() const { return name_; }

    std::unique_ptr<FrontendGain> frontend_gain; // null without a learned controller; all that follows, without a network
    Filterbank filterbank;
    std::vector<ConvBlock> mic_enc;    // stages 1..5
    std::vector<ConvBlock> far_enc;    // stages 1..2
    Align align;
    Bottleneck bottleneck;
    std::vector<DecoderBlock> decoder; // dec5 .. dec1

private:
    Model(const class GgufFile & file, const Kernels & kernels);

    ModelConfig config_;
    const Kernels & kernels_;
    std::string name_;
};

} // namespace localvqe
