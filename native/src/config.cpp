#include "config.h"

#include "error.h"
#include "gguf_reader.h"

#include <cmath>
#include <string>

namespace localvqe {
namespace {

// A number of the file; throws Error naming the key and the range.
struct KeyReader {
    const GgufFile & file;

    int operator()(const char * key, IntRange range) const {
        const uint32_t value = file.u32(key);
        if (int64_t(value) < range.low || int64_t(value) > range.high) {
            refuse(key, std::to_string(value), std::to_string(range.low), std::to_string(range.high));
        }
        return int(value);
    }

    float operator()(const char * key, FloatRange range) const {
        const float value = file.f32(key);
        if (!(value >= range.low && value <= range.high)) { // NaN as well
            refuse(key, std::to_string(value), std::to_string(range.low), std::to_string(range.high));
        }
        return value;
    }

private:
    [[noreturn]] static void refuse(const char * key, const std::string & value, const std::string & low,
                                    const std::string & high) {
        throw Error(key + (" is " + value) + ", expected " + (low == high ? low : low + ".." + high));
    }
};

float read_power_law_c(const GgufFile & file) {
    const float c = file.f32(kPowerLawCKey);
    if (!std::isfinite(c) || c <= 0.0f || c > 1.0f) {
        throw Error(std::string(kPowerLawCKey) + " is " + std::to_string(c) + ", expected a number in (0, 1]");
    }
    return c;
}

} // namespace

ModelConfig ModelConfig::from_gguf(const GgufFile & file) {
    const std::string architecture = file.string("general.architecture");
    if (architecture != kArchitecture) {
        throw Error("general.architecture is '" + architecture.substr(0, 64) + "', not '" + kArchitecture + "'");
    }
    const KeyReader read{file};
    ModelConfig c;
    c.version = read_version(read);
    check_codec(read);
    c.has_network = !file.has(kNetworkKey) || file.boolean(kNetworkKey);
    if (c.has_network) {
        read_network(read, c);
        c.power_law_c = read_power_law_c(file);
        if (!file.boolean(kBnFoldedKey)) {
            throw Error(std::string(kBnFoldedKey) + " is false: export the checkpoint again with BatchNorm folded");
        }
    }
    c.has_frontend = file.any_key(kFrontendPrefix);
    if (c.has_frontend) {
        c.frontend = read_frontend(read);
    }
    c.has_residual = file.any_key(kResidualPrefix);
    if (c.has_residual) {
        c.residual = read_residual(read);
        if (c.residual.leak_least > c.residual.leak_most) {
            throw Error("localvqe.residual.leak_least is more than localvqe.residual.leak_most");
        }
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
