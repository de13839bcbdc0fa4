#include "conv_block.h"

#include "../weights.h"

namespace localvqe {

Activation block_activation(const ModelConfig & config) {
    switch (config.version) {
        case 1: return Activation::elu;
        case 2: return Activation::relu6;
        default: return Activation::silu;
    }
}

ResBlock ResBlock::load(const Loader & loader, const ModelConfig & config, const std::string & name, int channels) {
    ResBlock r;
    if (config.has_norm()) {
        r.norm = load_norm(loader, name + ".norm");
    }
    r.conv = load_conv(loader, name + ".conv", channels, channels, config.kernel_h, config.kernel_w);
    return r;
}

void ResBlock::build(Builder & b, const std::string & block, Frames & y, Frames & out) const {
    Frames & window = conv_input(b, block, b.config.has_norm() ? &norm : nullptr, *conv, y);
    ConvShape shape;
    shape.positions = y.bins();
    shape.pad_left = (b.config.kernel_w - 1) / 2;
    shape.activation = block_activation(b.config);
    add_conv(b, block, *conv, shape, window, &y, out);
}

ConvBlock ConvBlock::load(const Loader & loader, const ModelConfig & config, const std::string & name, int in_channels, int out_channels) {
    ConvBlock block;
    block.name = name;
    block.in_channels = in_channels;
    block.out_channels = out_channels;
    if (config.has_norm()) {
        block.norm = load_norm(loader, name + ".norm");
    }
    block.conv = load_conv(loader, name + ".conv", out_channels, in_channels, config.kernel_h, config.kernel_w);
    block.resblock = ResBlock::load(loader, config, name + ".resblock", out_channels);
    return block;
}

Frames & ConvBlock::build(Builder & b, Frames & in, Frames * joined, int history) const {
    const NormWeights * weights = b.config.has_norm() ? &norm : nullptr;
    Frames * window = &in;
    if (joined != nullptr) {
        window = conv->integer() ? &b.plain(in.bins(), in_channels) : &b.window(in.bins(), in_channels);
        b.add<NormOp>(name, weights, in, joined, *window);
    } else {
        window = &conv_input(b, name, weights, *conv, in);
    }
    const int bins = in.bins() / 2;
    Frames & y = b.activation(bins, out_channels);
    ConvShape shape;
    shape.positions = bins;
    shape.stride = 2;
    shape.pad_left = (b.config.kernel_w - 1) / 2;
    shape.activation = block_activation(b.config);
    add_conv(b, name, *conv, shape, *window, nullptr, y);
    Frames & out = history > 0 ? b.make(bins, out_channels, history, 0, 0) : b.activation(bins, out_channels);
    resblock.build(b, name, y, out);
    b.tap(name, out);
    return out;
}

} // namespace localvqe
