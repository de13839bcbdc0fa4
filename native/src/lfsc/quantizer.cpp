#include "quantizer.h"

#include "../error.h"

#include <cmath>
#include <string>

namespace localvqe {
namespace lfsc {

void quantize(const CodecConfig & config, const Signal & encoded, int32_t * tokens) {
    const size_t dims = config.levels.size(), frames = size_t(encoded.length);
    for (size_t t = 0; t < frames; ++t) {
        const float * z = encoded.at(int(t));
        for (size_t g = 0; g < size_t(config.groups); ++g) {
            int32_t token = 0, base = 1;
            for (size_t i = 0; i < dims; ++i, ++z) {
                if (!std::isfinite(*z)) {
                    throw Error("the codec's numbers grow beyond bounds; its weights are unusable");
                }
                const int levels = config.levels[i];
                const float scale = float(levels - 1) / 2.0f * kShrink;
                const float offset = levels % 2 == 0 ? 0.5f : 0.0f;
                const float v = scale * std::tanh(*z + std::tan(offset / scale)) - offset;
                token += (int32_t(std::nearbyint(v)) + levels / 2) * base;
                base *= levels;
            }
            tokens[g * frames + t] = token;
        }
    }
}

Signal dequantize(const CodecConfig & config, const int32_t * tokens, int frames) {
    Signal out(config.code_channels(), frames);
    const int codes = config.codes();
    const size_t dims = config.levels.size();
    for (int g = 0; g < config.groups; ++g) {
        for (int t = 0; t < frames; ++t) {
            int32_t token = tokens[size_t(g) * size_t(frames) + size_t(t)];
            if (token < 0 || token >= codes) {
                throw Error("a token is " + std::to_string(token) + ", expected 0.." + std::to_string(codes - 1));
            }
            float * const to = out.at(t) + size_t(g) * dims;
            for (size_t i = 0; i < dims; ++i) {
                const int levels = config.levels[i], half = levels / 2;
                to[i] = float(token % levels - half) / float(half);
                token /= levels;
            }
        }
    }
    return out;
}

} // namespace lfsc
} // namespace localvqe
