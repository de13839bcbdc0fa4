// Names and shapes of every tensor of a model file. The table itself is written from localvqe_cli/tensors.py.
#pragma once

#include "config.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace localvqe {

class GgufFile;

// Name -> ne (contiguous axis first).
std::map<std::string, std::vector<uint64_t>> tensor_shapes(const ModelConfig & config);

// The matrix a quantized tensor is stored as: a row per output channel, its weights in the order kernel row, kernel
// column, input channel, padded to whole blocks (docs/reference/gguf-format.md).
struct MatrixShape {
    size_t rows;
    size_t columns; // without padding
};

MatrixShape matrix_shape(const std::vector<uint64_t> & ne);
// Are the codec's bases not in the file, since they are the standard ones of its version? Throws Error if the key that says
// so says something else.
bool leaves_out_bases(const GgufFile & file);
// The key that states a quantized tensor's own shape.
std::string shape_key(const std::string & tensor);

// Throws Error naming the first missing, unexpected, misshapen or wrongly typed tensor.
void check_tensors(const GgufFile & file, const ModelConfig & config);

} // namespace localvqe
