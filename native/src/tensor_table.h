// Names and shapes of every tensor of a model file, twin of localvqe_cli/tensors.py.
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

// What the tensors of the bottleneck's recurrence end with, a pair for each of A, B and C.
constexpr const char * kS4dParts[] = {".a_real", ".a_imag", ".B_real", ".B_imag", ".C_real", ".C_imag"};

// Name -> ne (contiguous axis first).
std::map<std::string, std::vector<uint64_t>> tensor_shapes(const ModelConfig & config);

// The matrix a quantized tensor is stored as: a row per output channel, its weights in the order kernel row, kernel
// column, input channel, padded to whole blocks (docs/reference/gguf-format.md).
struct MatrixShape {
    size_t rows;
    size_t columns; // without padding
};

// May this tensor be quantized? Convolutions and linear layers, but neither the codec's bases nor the smoothing.
bool quantizable(const std::string & name, const std::vector<uint64_t> & ne);
MatrixShape matrix_shape(const std::vector<uint64_t> & ne);
// Are the codec's bases not in the file, since they are the standard ones of its version? Throws Error if the key that says
// so says something else.
bool leaves_out_bases(const GgufFile & file);
// The key that states a quantized tensor's own shape.
std::string shape_key(const std::string & tensor);

// Throws Error naming the first missing, unexpected, misshapen or wrongly typed tensor.
void check_tensors(const GgufFile & file, const ModelConfig & config);

} // namespace localvqe
