// Reads tensors of a checked file by name and hands them to the blocks.
#pragma once

#include "gguf_reader.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"

#include <memory>
#include <string>
#include <vector>

namespace localvqe {

// What every block needs while a model is loaded.
struct Loader {
    const GgufFile & file;
    const Kernels & kernels;

    std::vector<float> read(const std::string & name) const { return file.read_f32(name); }
};

} // namespace localvqe
