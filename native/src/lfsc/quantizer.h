// Finite scalar quantization: each number of a frame to one of a few levels, those of a group to one token.
#pragma once

#include "codec_config.h"
#include "signal.h"

#include <cstdint>

namespace localvqe {
namespace lfsc {

// encoded: (frames, code_channels); tokens: (groups, frames). Throws Error where a number is not finite.
void quantize(const CodecConfig & config, const Signal & encoded, int32_t * tokens);
// The inverse; throws Error where a token is out of range.
Signal dequantize(const CodecConfig & config, const int32_t * tokens, int frames);

} // namespace lfsc
} // namespace localvqe
