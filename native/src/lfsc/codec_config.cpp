#include "codec_config.h"

#include "../error.h"
#include "../gguf_reader.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace localvqe {
namespace lfsc {
namespace {

int product(const std::vector<int> & values) {
    int64_t all = 1;
    for (const int value : values) {
        all *= value;
        if (all > INT32_MAX) {
            throw Error("the codec's numbers are too large");
        }
    }
    return int(all);
}

int largest(const std::vector<int> & values) { return *std::max_element(values.begin(), values.end()); }

int in_range(const char * key, uint64_t value, IntRange range) {
    if (value < uint64_t(range.low) || value > uint64_t(range.high)) {
        throw Error(std::string(key) + " is " + std::to_string(value) + ", expected " + std::to_string(range.low) +
                    ".." + std::to_string(range.high));
    }
    return int(value);
}

void require_odd(const char * what, int kernel) {
    if (kernel % 2 == 0) {
        throw Error(std::string("a kernel of the ") + what + " has an even length");
    }
}

// Positions on either side that a residual layer's output depends on.
int chain_reach(const std::vector<int> & kernels, const std::vector<int> & dilations) {
    int reach = 0;
    for (const int dilation : dilations) {
        reach += largest(kernels) / 2 * (dilation + 1);
    }
    return reach;
}

// Frames that are needed where a frame has `length` positions and `pad` of them are mirrored.
int frames_for(int pad, int length) { return pad / length + 1; }

} // namespace

int CodecConfig::samples_per_frame() const { return product(encoder_rates); }

int CodecConfig::codes() const { return product(levels); }

int CodecConfig::least_frames() const {
    int length = samples_per_frame();
    int least = frames_for(encoder_in_kernel / 2, length);
    for (const int rate : encoder_rates) {
        least = std::max(least, frames_for(largest(encoder_kernels) / 2 * largest(encoder_dilations), length));
        least = std::max(least, frames_for((rate + 1) / 2, length));
        length /= rate;
    }
    least = std::max(least, frames_for(encoder_out_kernel / 2, length));
    least = std::max(least, frames_for(decoder_in_kernel / 2, length));
    for (const int rate : decoder_rates) {
        length *= rate;
        least = std::max(least, frames_for(largest(decoder_kernels) / 2 * largest(decoder_dilations), length));
    }
    return std::max(least, frames_for(decoder_out_kernel / 2, length));
}

int CodecConfig::encoder_context() const {
    int reach = encoder_in_kernel / 2, step = 1;
    for (const int rate : encoder_rates) {
        reach += step * (chain_reach(encoder_kernels, encoder_dilations) + (rate + 1) / 2);
        step *= rate;
    }
    return (reach + step - 1) / step + encoder_out_kernel / 2;
}

int CodecConfig::decoder_context() const {
    const int frame = samples_per_frame();
    int reach = decoder_in_kernel / 2 * frame, step = frame; // in samples
    for (const int rate : decoder_rates) {
        reach += step;
        step /= rate;
        reach += step * chain_reach(decoder_kernels, decoder_dilations);
    }
    return (reach + decoder_out_kernel / 2 + frame - 1) / frame;
}

CodecConfig CodecConfig::from_gguf(const GgufFile & file) {
    const std::string architecture = file.string("general.architecture");
    if (architecture != kLfscArchitecture) {
        throw Error("general.architecture is '" + architecture.substr(0, 64) + "', not '" + kLfscArchitecture + "'");
    }
    CodecConfig c;
    static_cast<Sizes &>(c) =
        read_sizes([&](const char * key, IntRange range) { return in_range(key, file.u32(key), range); },
                   [&](const char * key, IntRange range) {
                       const std::vector<uint64_t> values = file.u32_array_or_empty(key);
                       if (values.empty() || values.size() > size_t(kMaxEntries)) {
                           throw Error(std::string(key) + " is missing or no list of 1.." +
                                       std::to_string(kMaxEntries) + " numbers");
                       }
                       std::vector<int> out;
                       out.reserve(values.size());
                       for (const uint64_t value : values) {
                           out.push_back(in_range(key, value, range));
                       }
                       return out;
                   });
    for (const int kernel : c.encoder_kernels) {
        require_odd("encoder", kernel);
    }
    for (const int kernel : c.decoder_kernels) {
        require_odd("decoder", kernel);
    }
    for (const int kernel : {c.encoder_in_kernel, c.encoder_out_kernel, c.decoder_in_kernel, c.decoder_out_kernel}) {
        require_odd("codec", kernel);
    }
    if (product(c.encoder_rates) != product(c.decoder_rates) || c.samples_per_frame() > kMaxFrame) {
        throw Error("the rates of encoder and decoder make no frame");
    }
    if (c.decoder_channels % (1 << c.decoder_rates.size()) != 0 ||
        (int64_t(c.encoder_channels) << c.encoder_rates.size()) > kMaxChannels) {
        throw Error("the channels of encoder or decoder are out of range");
    }
    product(c.levels);
    return c;
}

} // namespace lfsc
} // namespace localvqe
