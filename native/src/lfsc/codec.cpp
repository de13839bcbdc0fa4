#include "codec.h"

#include "../byte_source.h"
#include "../error.h"
#include "../gguf_reader.h"
#include "../printable.h"
#include "codec_weights.h"
#include "parts.h"
#include "quantizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace localvqe {
namespace lfsc {
namespace {

constexpr int kPositions = 512; // that take turns with a block of weights

LineConv plain(WeightReader & reader, const Kernels & kernels, const std::string & name, int outputs, int inputs,
               int taps) {
    std::vector<int> in_order(size_t(taps), 0);
    std::iota(in_order.begin(), in_order.end(), 0);
    return LineConv(kernels, reader.read(name, outputs, inputs, taps), in_order);
}

// Output t of a transposed convolution of 2 * rate taps is made of two neighbouring inputs; which taps they meet depends
// on t modulo rate only. Each of these is a convolution of two positions.
std::vector<LineConv> phases(WeightReader & reader, const Kernels & kernels, const std::string & name, int outputs,
                             int inputs, int rate) {
    const Weight w = reader.read(name, outputs, inputs, 2 * rate);
    std::vector<LineConv> out;
    for (int f = 0; f < rate; ++f) {
        const int tap = (f + (rate + 1) / 2) % rate; // that of the later input; the earlier meets the one a rate on
        out.emplace_back(kernels, w, std::vector<int>{tap + rate, tap});
    }
    return out;
}

// A convolution with mirrored ends that keeps the length.
Reach same_length(int window, int dilation, bool active) {
    Reach reach;
    reach.window = window;
    reach.pad = window / 2 * dilation;
    reach.dilation = dilation;
    reach.active = active;
    return reach;
}

} // namespace

std::unique_ptr<Codec> Codec::load(const std::string & path, int threads) {
    const Kernels & kernels = select_kernels();
    try {
        const GgufFile file(open_file(path));
        return std::unique_ptr<Codec>(new Codec(file, kernels, threads));
    } catch (const Error & error) {
        throw Error(path + ": " + printable(error.what()));
    }
}

Codec::Codec(const GgufFile & file, const Kernels & kernels, int threads)
    : team_(useful_threads(threads)), workspaces_(size_t(team_.size())), kernels_(kernels),
      config_(CodecConfig::from_gguf(file)) {
    const CodecConfig & c = config_;
    WeightReader reader(file);
    const auto conv = [&](const std::string & name, int outputs, int inputs, int taps) {
        return std::make_unique<LineConv>(plain(reader, kernels, name, outputs, inputs, taps));
    };
    int width = c.encoder_channels;
    encoder_pre_ = conv("encoder.pre", width, 1, c.encoder_in_kernel);
    for (size_t stage = 0; stage < c.encoder_rates.size(); ++stage, width *= 2) {
        const std::string name = "encoder." + std::to_string(stage);
        const int rate = c.encoder_rates[stage];
        ResidualLayer layer = read_layer(reader, name, width, c.encoder_kernels, c.encoder_dilations);
        encoder_.push_back(
            {std::move(layer), plain(reader, kernels, name + ".down", 2 * width, width, 2 * rate), rate});
    }
    encoder_post_ = conv("encoder.post", c.code_channels(), width, c.encoder_out_kernel);
    width = c.decoder_channels;
    decoder_pre_ = conv("decoder.pre", width, c.code_channels(), c.decoder_in_kernel);
    for (size_t stage = 0; stage < c.decoder_rates.size(); ++stage) {
        const std::string name = "decoder." + std::to_string(stage);
        const int rate = c.decoder_rates[stage];
        std::vector<LineConv> up = phases(reader, kernels, name + ".up", width / 2, width, rate);
        width /= 2;
        ResidualLayer layer = read_layer(reader, name, width, c.decoder_kernels, c.decoder_dilations);
        decoder_.push_back({std::move(up), std::move(layer), rate});
    }
    decoder_post_ = conv("decoder.post", 1, width, c.decoder_out_kernel);
    reader.require_all_read();
}

Codec::ResidualLayer Codec::read_layer(WeightReader & reader, const std::string & name, int channels,
                                       const std::vector<int> & kernels, const std::vector<int> & dilations) const {
    ResidualLayer layer;
    for (size_t chain = 0; chain < kernels.size(); ++chain) {
        layer.emplace_back();
        for (size_t block = 0; block < dilations.size(); ++block) {
            const std::string of = name + ".res." + std::to_string(chain) + "." + std::to_string(block);
            LineConv input = plain(reader, kernels_, of + ".input", channels, channels, kernels[chain]);
            LineConv skip = plain(reader, kernels_, of + ".skip", channels, channels, kernels[chain]);
            layer.back().push_back({std::move(input), std::move(skip), dilations[block]});
        }
    }
    return layer;
}

void Codec::require_frames(int frames) const {
    if (frames < config_.least_frames()) {
        throw Error("a clip has " + std::to_string(frames) + " frames, expected at least " +
                    std::to_string(config_.least_frames()));
    }
}

void Codec::convolve(const LineConv & conv, const Reach & reach, const Signal & x, Signal & out) {
    out.reshape(conv.outputs(), x.length / reach.stride);
    // Of a stride as many positions are read.
    share(team_, out.length, std::max(1, kPositions / reach.stride), [&](int part, int first, int last) {
        Workspace & workspace = workspaces_[size_t(part)];
        workspace.windows.fill(x, reach, first, last - first);
        conv.run(workspace, 0, last - first, out.at(first), out.channels, nullptr);
    });
}

void Codec::lengthen(const DecoderStage & stage, const Signal & x, Signal & out) {
    out.reshape(stage.up.front().outputs(), x.length * stage.rate);
    Reach reach; // of all outputs of a step
    reach.window = 3;
    reach.pad = 1;
    reach.mirror = false;
    share(team_, x.length, kPositions, [&](int part, int first, int last) {
        Workspace & workspace = workspaces_[size_t(part)];
        workspace.windows.fill(x, reach, first, last - first);
        for (int f = 0; f < stage.rate; ++f) {
            // Of the two inputs the earlier is the one before its step, or that of the step itself.
            const int skip = (f + (stage.rate + 1) / 2) / stage.rate;
            stage.up[size_t(f)].run(workspace, skip, last - first, out.at(first * stage.rate + f),
                                    stage.rate * out.channels, nullptr);
        }
    });
}

void Codec::residual_layer(const ResidualLayer & layer, const std::vector<int> & kernels, const Signal & x,
                           Signal & out, Buffers & buffers) {
    const float share_of_each = 1.0f / float(layer.size());
    Signal & inner = buffers.inner;
    Signal & h = buffers.chain;
    out.reshape(x.channels, x.length);
    for (size_t chain = 0; chain < layer.size(); ++chain) {
        const Signal * from = &x;
        for (const Block & block : layer[chain]) {
            const bool last_of_chain = &block == &layer[chain].back();
            convolve(block.input, same_length(kernels[chain], block.dilation, true), *from, inner);
            const Reach reach = same_length(kernels[chain], 1, true);
            if (!last_of_chain) {
                h.reshape(x.channels, x.length);
            }
            share(team_, x.length, kPositions, [&](int part, int first, int last) {
                Workspace & workspace = workspaces_[size_t(part)];
                workspace.windows.fill(inner, reach, first, last - first);
                if (!last_of_chain) { // in the place of what it is added to, but for the first
                    block.skip.run(workspace, 0, last - first, h.at(first), h.channels, from->at(first));
                    return;
                }
                const size_t n = size_t(last - first) * size_t(x.channels);
                if (workspace.outputs.size() < n) {
                    workspace.outputs = AlignedFloats(n);
                }
                block.skip.run(workspace, 0, last - first, workspace.outputs.data(), x.channels, from->at(first));
                const float * const in = workspace.outputs.data();
                float * const total = out.at(first);
                for (size_t i = 0; i < n; ++i) {
                    total[i] = (chain == 0 ? 0.0f : total[i]) + share_of_each * in[i];
                }
            });
            from = &h;
        }
    }
}

void Codec::encode(const float * sound, int frames, int32_t * tokens) {
    require_frames(frames);
    const CodecConfig & c = config_;
    Signal sound_in(1, frames * c.samples_per_frame()), x, y;
    Buffers buffers;
    std::memcpy(sound_in.at(0), sound, size_t(sound_in.length) * sizeof(float));
    convolve(*encoder_pre_, same_length(c.encoder_in_kernel, 1, false), sound_in, x);
    for (const EncoderStage & stage : encoder_) {
        residual_layer(stage.residual, c.encoder_kernels, x, y, buffers);
        Reach reach;
        reach.window = 2 * stage.rate;
        reach.pad = (stage.rate + 1) / 2;
        reach.stride = stage.rate;
        convolve(stage.down, reach, y, x);
    }
    convolve(*encoder_post_, same_length(c.encoder_out_kernel, 1, true), x, y);
    quantize(c, y, tokens);
}

void Codec::decode(const int32_t * tokens, int frames, float * sound) {
    require_frames(frames);
    const CodecConfig & c = config_;
    Signal x, y;
    Buffers buffers;
    convolve(*decoder_pre_, same_length(c.decoder_in_kernel, 1, false), dequantize(c, tokens, frames), x);
    for (const DecoderStage & stage : decoder_) {
        lengthen(stage, x, y);
        residual_layer(stage.residual, c.decoder_kernels, y, x, buffers);
    }
    convolve(*decoder_post_, same_length(c.decoder_out_kernel, 1, true), x, y);
    for (int t = 0; t < y.length; ++t) {
        const float value = *y.at(t);
        if (!std::isfinite(value)) {
            throw Error("the codec's numbers grow beyond bounds; its weights are unusable");
        }
        sound[t] = std::tanh(value);
    }
}

} // namespace lfsc
} // namespace localvqe
