#include "codec.h"

#include "../byte_source.h"
#include "../error.h"
#include "../gguf_reader.h"
#include "../printable.h"
#include "codec_weights.h"
#include "parts.h"
#include "quantizer.h"

#include <cmath>
#include <cstring>

namespace localvqe {
namespace lfsc {
namespace {

LineConv plain(WeightReader & reader, const Kernels & kernels, const std::string & name, int outputs, int inputs,
               int taps) {
    const Weight w = reader.read(name, outputs, inputs, taps);
    return LineConv(
        kernels, outputs, taps, inputs, [&](int o, int tap, int i) { return w.at(o, tap, i); },
        [&](int o) { return w.bias(o); });
}

// Output t of a transposed convolution of 2 * rate taps is made of two neighbouring inputs; which taps they meet depends
// on t modulo rate only. Each of these is a convolution of two positions.
std::vector<LineConv> phases(WeightReader & reader, const Kernels & kernels, const std::string & name, int outputs,
                             int inputs, int rate) {
    const Weight w = reader.read(name, outputs, inputs, 2 * rate);
    std::vector<LineConv> out;
    for (int f = 0; f < rate; ++f) {
        const int tap = (f + (rate + 1) / 2) % rate; // that of the later input; the earlier meets the one a rate on
        out.emplace_back(
            kernels, outputs, 2, inputs,
            [&](int o, int position, int i) { return w.at(o, position == 0 ? tap + rate : tap, i); },
            [&](int o) { return w.bias(o); });
    }
    return out;
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
    : team_(useful_threads(threads)), kernels_(kernels), config_(CodecConfig::from_gguf(file)) {
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

Signal Codec::convolve(const LineConv & conv, const Signal & x, int window, int dilation, bool active,
                       const Signal * residual) {
    const Extended extended(x, window / 2 * dilation, dilation, active, team_);
    Signal out(conv.outputs(), x.length);
    for (int f = 0; f < dilation && f < x.length; ++f) {
        conv.run(extended.phase(f), x.channels, (x.length - f + dilation - 1) / dilation, out.at(f),
                 dilation * out.channels, residual == nullptr ? nullptr : residual->at(f), team_);
    }
    return out;
}

Signal Codec::residual_layer(const ResidualLayer & layer, const std::vector<int> & kernels, const Signal & x) {
    Signal total(x.channels, x.length);
    const float share_of_each = 1.0f / float(layer.size());
    for (size_t chain = 0; chain < layer.size(); ++chain) {
        Signal h;
        const Signal * from = &x;
        for (const Block & block : layer[chain]) {
            const Signal inner = convolve(block.input, *from, kernels[chain], block.dilation, true);
            h = convolve(block.skip, inner, kernels[chain], 1, true, from);
            from = &h;
        }
        share(team_, x.length, [&](int first, int last) {
            const float * in = h.at(first);
            float * const out = total.at(first);
            const size_t n = size_t(last - first) * size_t(x.channels);
            for (size_t i = 0; i < n; ++i) {
                out[i] += share_of_each * in[i];
            }
        });
    }
    return total;
}

void Codec::encode(const float * sound, int frames, int32_t * tokens) {
    require_frames(frames);
    const CodecConfig & c = config_;
    Signal x(1, frames * c.samples_per_frame());
    std::memcpy(x.at(0), sound, size_t(x.length) * sizeof(float));
    x = convolve(*encoder_pre_, x, c.encoder_in_kernel, 1, false);
    for (const EncoderStage & stage : encoder_) {
        x = residual_layer(stage.residual, c.encoder_kernels, x);
        const Extended extended(x, (stage.rate + 1) / 2, 1, true, team_);
        Signal shorter(stage.down.outputs(), x.length / stage.rate);
        stage.down.run(extended.phase(0), stage.rate * x.channels, shorter.length, shorter.at(0), shorter.channels,
                       nullptr, team_);
        x = std::move(shorter);
    }
    quantize(c, convolve(*encoder_post_, x, c.encoder_out_kernel, 1, true), tokens);
}

void Codec::decode(const int32_t * tokens, int frames, float * sound) {
    require_frames(frames);
    const CodecConfig & c = config_;
    Signal x = convolve(*decoder_pre_, dequantize(c, tokens, frames), c.decoder_in_kernel, 1, false);
    for (const DecoderStage & stage : decoder_) {
        const Signal from = between_zeros(x, team_);
        Signal longer(stage.up.front().outputs(), x.length * stage.rate);
        for (int f = 0; f < stage.rate; ++f) {
            // Of the two inputs the earlier is the one before its step, or that of the step itself.
            const int start = (f + (stage.rate + 1) / 2) / stage.rate;
            stage.up[size_t(f)].run(from.at(start), from.channels, x.length, longer.at(f), stage.rate * longer.channels,
                                    nullptr, team_);
        }
        x = residual_layer(stage.residual, c.decoder_kernels, longer);
    }
    x = convolve(*decoder_post_, x, c.decoder_out_kernel, 1, true);
    for (int t = 0; t < x.length; ++t) {
        const float value = *x.at(t);
        if (!std::isfinite(value)) {
            throw Error("the codec's numbers grow beyond bounds; its weights are unusable");
        }
        sound[t] = std::tanh(value);
    }
}

} // namespace lfsc
} // namespace localvqe
