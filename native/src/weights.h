// Reads tensors of a checked file by name and hands them to the blocks.
#pragma once

#include "gguf_reader.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"
#include "tensor_table.h"

#include <memory>
#include <string>
#include <vector>

namespace localvqe {

// What every block needs while a model is loaded.
struct Loader {
    const GgufFile & file;
    const Kernels & kernels;
    const std::map<std::string, std::vector<uint64_t>> & shapes; // of the model's table
    bool integers; // run quantized convolutions as integers

    // Elements in PyTorch order, whatever the tensor is stored as.
    std::vector<float> read(const std::string & name) const;
    // The blocks of a Q8_0 tensor, checked; empty if it is none. A row has `row_bytes` bytes.
    std::vector<uint8_t> read_q8(const std::string & name, size_t * row_bytes) const;
};

} // namespace localvqe
