// Reads tensors of a checked file by name and hands them to the backends.
#pragma once

#include "gguf_reader.h"
#include "net.h"
#include "quantized.h"
#include "tensor_table.h"

#include <string>
#include <vector>

namespace localvqe {

struct Loader {
    const GgufFile & file;
    const std::map<std::string, std::vector<uint64_t>> & shapes; // of the model's table

    // Elements in PyTorch order, whatever the tensor is stored as.
    std::vector<float> read(const std::string & name) const;
    // Is it stored in blocks of integers?
    bool quantized(const std::string & name) const { return find_format(file.tensors().at(name).type) != nullptr; }

    // Of a convolution, with its affine folded in: the kernel (outputs, inputs, kernel_h, kernel_w), and the bias.
    std::vector<float> conv_weight(const Operation & op) const;
    std::vector<float> conv_bias(const Operation & op) const;
    // What the affine multiplies each output by; ones without.
    std::vector<float> conv_gain(const Operation & op) const;
};

// How many outputs the kernel of a convolution has.
inline int conv_outputs(const Operation & op) { return op.conv.channels * (op.conv.shuffle ? 2 : 1); }

} // namespace localvqe
