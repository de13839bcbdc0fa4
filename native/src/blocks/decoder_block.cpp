#include "decoder_block.h"

#include "../weights.h"

namespace localvqe {

DecoderBlock DecoderBlock::load(const Loader & loader, const ModelConfig & config, const std::string & name, int in_channels,
                                int out_channels) {
    DecoderBlock block;
    block.name = name;
    block.in_channels = in_channels;
    block.out_channels = out_channels;
    block.last = name == "dec1";
    std::vector<float> scale, shift;
    if (config.has_norm()) {
        block.skip_norm = load_norm(loader, name + ".skip_norm");
        block.deconv_norm = load_norm(loader, name + ".deconv.norm");
    } else if (!block.last) {
        // The shuffle only moves values, so the norm behind it is a gain per channel of both halves.
        scale = loader.read(name + ".bn.scale");
        shift = loader.read(name + ".bn.bias");
    }
    block.skip_conv = load_conv(loader, name + ".skip_conv", in_channels, in_channels, 1, 1);
    block.resblock = ResBlock::load(loader, config, name + ".resblock", in_channels);
    block.deconv = load_conv(loader, name + ".deconv.conv", 2 * out_channels, in_channels, config.kernel_h, config.kernel_w, scale, shift);
    return block;
}

Frames & DecoderBlock::build(Builder & b, Frames & in, Frames & skip) const {
    const bool norms = b.config.has_norm();
    const int bins = in.bins();

    Frames * feature = &skip;
    if (norms) {
        feature = &b.plain(bins, in_channels);
        b.add<NormOp>(name, &skip_norm, skip, nullptr, *feature);
    }
    Frames & sum = b.activation(bins, in_channels);
    ConvShape one;
    one.positions = bins;
    add_conv(b, name, *skip_conv, one, *feature, &in, sum);

    Frames & y = b.activation(bins, in_channels);
    resblock.build(b, name, sum, y);

    Frames & window = conv_input(b, name, norms ? &deconv_norm : nullptr, *deconv, y);
    Frames & out = last ? b.plain(2 * bins, out_channels) : b.activation(2 * bins, out_channels);
    ConvShape up;
    up.positions = bins;
    up.pad_left = (b.config.kernel_w - 1) / 2;
    up.activation = last ? Activation::none : block_activation(b.config);
    up.groups = 2;
    up.planar = last;
    add_conv(b, name, *deconv, up, window, nullptr, out);
    if (last) {
        b.taps.push_back({name, &out, out_channels, 2 * bins, size_t(2 * bins), 1});
    } else {
        b.tap(name, out);
    }
    return out;
}

} // namespace localvqe
