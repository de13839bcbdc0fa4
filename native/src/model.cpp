#include "model.h"

#include "error.h"
#include "tensor_table.h"
#include "weights.h"

namespace localvqe {
namespace {

// Names and texts out of the file stand in messages; they must not reach a terminal as commands, nor break the line.
std::string printable(std::string text) {
    for (char & c : text) {
        c = c < ' ' || c > '~' ? '?' : c;
    }
    return text;
}

} // namespace

std::shared_ptr<const Model> Model::load(const std::string & path) {
    const Kernels & kernels = select_kernels();
    try {
        const GgufFile file(path);
        return std::shared_ptr<const Model>(new Model(file, kernels));
    } catch (const Error & error) {
        throw Error(path + ": " + printable(error.what()));
    }
}

Model::Model(const GgufFile & file, const Kernels & kernels) : config_(ModelConfig::from_gguf(file)), kernels_(kernels) {
    check_tensors(file, config_);
    name_ = file.string_or_empty("general.name");
    const auto shapes = tensor_shapes(config_);
    const Loader loader{file, kernels, shapes, prefers_integers(kernels)};
    if (config_.has_frontend && config_.frontend.gain_hidden > 0) {
        frontend_gain.reset(new FrontendGain(loader, config_.frontend.gain_hidden));
    }
    if (!config_.has_network) {
        return;
    }
    filterbank = Filterbank::load(loader, config_);
    for (const BlockShape & b : block_shapes(config_)) {
        if (b.decoder) {
            decoder.push_back(DecoderBlock::load(loader, config_, b.name, b.in_channels, b.out_channels));
        } else {
            auto & side = b.name.compare(0, 3, "mic") == 0 ? mic_enc : far_enc;
            side.push_back(ConvBlock::load(loader, config_, b.name, b.in_channels, b.out_channels));
        }
    }
    align = Align::load(loader, config_);
    bottleneck = Bottleneck::load(loader, config_);
}

} // namespace localvqe
