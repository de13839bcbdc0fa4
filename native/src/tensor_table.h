// Names and shapes of every tensor of an F32 model file, twin of localvqe_cli/tensors.py.
#pragma once

#include "config.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace localvqe {

class GgufFile;

struct BlockShape {
    std::string name;  // mic_enc1, far_enc2, dec3 ...
    int in_channels;
    int out_channels;  // after the pixel shuffle for a decoder
    bool decoder;
};

// All convolution blocks: mic_enc1-2, far_enc1-2, mic_enc3-5, dec5-1.
std::vector<BlockShape> block_shapes(const ModelConfig & config);

// Name -> ne (contiguous axis first).
std::map<std::string, std::vector<uint64_t>> tensor_shapes(const ModelConfig & config);

// Throws Error naming the first missing, unexpected, misshapen or wrongly typed tensor.
void check_tensors(const GgufFile & file, const ModelConfig & config);

} // namespace localvqe
