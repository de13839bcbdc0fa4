#include "config.h"

#include "error.h"
#include "gguf_reader.h"

#include <cmath>
#include <string>

namespace localvqe {
namespace {

int read_int(const GgufFile & file, const std::string & name, int64_t low, int64_t high) {
    const std::string key = "localvqe." + name;
    const uint32_t value = file.u32(key);
    if (value < low || value > high) {
        throw Error(key + " is " + std::to_string(value) + ", expected " +
                    (low == high ? std::to_string(low) : std::to_string(low) + ".." + std::to_string(high)));
    }
    return int(value);
}

float read_float(const GgufFile & file, const std::string & name, float low, float high) {
    const std::string key = "localvqe." + name;
    const float value = file.f32(key);
    if (!(value >= low && value <= high)) { // NaN as well
        throw Error(key + " is " + std::to_string(value) + ", expected " + std::to_string(low) + ".." + std::to_string(high));
    }
    return value;
}

FrontendConfig read_frontend(const GgufFile & file) {
    const int version = read_int(file, "frontend.version", 1, 2);
    FrontendConfig f;
    f.partitions = read_int(file, "frontend.partitions", 1, kMaxPartitions);
    f.lags = read_int(file, "frontend.lags", 2, kMaxLags);
    f.iterations = read_int(file, "frontend.iterations", 1, 4);
    f.transition = read_float(file, "frontend.transition", 0.9f, 1.0f);
    f.noise_smoothing = read_float(file, "frontend.noise_smoothing", 0.0f, 0.999f);
    f.initial_variance = read_float(file, "frontend.initial_variance", 1e-6f, 1e3f);
    f.process_floor = read_float(file, "frontend.process_floor", 0.0f, 1e3f);
    f.decay = read_float(file, "frontend.decay", 0.01f, 1.0f);
    if (version >= 2) {
        f.noise_weight = read_float(file, "frontend.noise_weight", 0.01f, 100.0f);
        f.gain_hidden = read_int(file, "frontend.gain_hidden", 0, kMaxGainHidden);
    }
    return f;
}

ResidualConfig read_residual(const GgufFile & file) {
    read_int(file, "residual.version", 2, 2);
    ResidualConfig r;
    r.overestimate = read_float(file, "residual.overestimate", 0.0f, 1e4f);
    r.leak_least = read_float(file, "residual.leak_least", 1e-6f, 1.0f);
    r.leak_most = read_float(file, "residual.leak_most", 1e-6f, 1.0f);
    r.leak_background = read_float(file, "residual.leak_background", 0.0f, 1e4f);
    r.noise_fill = read_float(file, "residual.noise_fill", 0.0f, 16.0f);
    if (r.leak_least > r.leak_most) {
        throw Error("localvqe.residual.leak_least is more than localvqe.residual.leak_most");
    }
    return r;
}

template <size_t N> void read_widths(const GgufFile & file, const std::string & name, std::array<int, N> & out) {
    read_int(file, name + ".count", N, N);
    for (size_t i = 0; i < N; ++i) {
        const int64_t low = i == 0 ? 2 : 1;
        const int64_t high = i == 0 ? 2 : 512;
        out[i] = read_int(file, name + "." + std::to_string(i), low, high);
    }
}

void read_network(const GgufFile & file, ModelConfig & c) {
    c.dmax = read_int(file, "dmax", 2, kMaxDelay);
    c.align_hidden = read_int(file, "align_hidden", 1, 512);
    c.kernel_h = read_int(file, "kernel_size_h", 1, kMaxKernel);
    c.kernel_w = read_int(file, "kernel_size_w", 1, kMaxKernel);
    c.bottleneck_hidden = read_int(file, "bottleneck_hidden", 1, 4096);
    read_widths(file, "mic_channels", c.mic_channels);
    read_widths(file, "far_channels", c.far_channels);
    c.power_law_c = file.f32("localvqe.power_law_c");
    if (!std::isfinite(c.power_law_c) || c.power_law_c <= 0.0f || c.power_law_c > 1.0f) {
        throw Error("localvqe.power_law_c is " + std::to_string(c.power_law_c) + ", expected a number in (0, 1]");
    }
    if (!file.boolean("localvqe.bn_folded")) {
        throw Error("localvqe.bn_folded is false: export the checkpoint again with BatchNorm folded");
    }
}

} // namespace

ModelConfig ModelConfig::from_gguf(const GgufFile & file) {
    const std::string architecture = file.string("general.architecture");
    if (architecture != "localvqe") {
        throw Error("general.architecture is '" + architecture.substr(0, 64) + "', not 'localvqe'");
    }
    ModelConfig c;
    c.version = read_int(file, "version", 1, 3);
    read_int(file, "n_fft", kFft, kFft);
    read_int(file, "hop_length", kHop, kHop);
    read_int(file, "n_freq_bins", kBins, kBins);
    read_int(file, "sample_rate", kSampleRate, kSampleRate);
    c.has_network = !file.has("localvqe.network") || file.boolean("localvqe.network");
    if (c.has_network) {
        read_network(file, c);
    }
    c.has_frontend = file.any_key("localvqe.frontend.");
    if (c.has_frontend) {
        c.frontend = read_frontend(file);
    }
    c.has_residual = file.any_key("localvqe.residual.");
    if (c.has_residual) {
        c.residual = read_residual(file);
    }
    if (!c.has_frontend && (!c.has_network || c.has_residual)) {
        throw Error(c.has_residual ? "there is a residual echo stage, but no front-end for it to follow"
                                   : "there is neither a network nor a front-end");
    }
    if (c.has_residual && c.has_network && c.version == 1) {
        throw Error("there is a residual echo stage, which needs the codec of version 2 or 3 before a network");
    }
    return c;
}

} // namespace localvqe
